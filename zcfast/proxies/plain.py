"""The signed sibling of snip."""

from zcfast.proxies.base import Proxy, register
from zcfast.tracing.passes import Pass


@register
class Plain(Proxy):
    """Sum of W_l * g_l, signed. Layers that BatchNorm follows give almost nothing: the loss ignores their scale."""

    name = "plain"
    definition = (
        "Sum of W_l * g_l, signed. Layers that BatchNorm follows give almost nothing: the loss ignores their scale."
    )
    source = "Mozer & Smolensky 1989; published code of Abdelfattah et al. 2021"
    needs = Pass.LOSS_GRAD
    saliency = "product"
