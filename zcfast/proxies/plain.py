"""The signed sibling of snip."""

from torch import Tensor

from zcfast.proxies.base import Proxy, register
from zcfast.tracing.passes import Pass
from zcfast.tracing.trace import Trace


@register
class Plain(Proxy):
    """Sum of W_l * g_l, signed. Layers that BatchNorm follows give almost nothing: the loss ignores their scale."""

    name = "plain"
    source = "Mozer & Smolensky 1989; published code of Abdelfattah et al. 2021"
    saliency = "product"

    @property
    def needs(self) -> Pass:
        """The loss gradient."""
        return Pass.LOSS_GRAD

    def layerwise(self, trace: Trace) -> Tensor:
        """Sum of w g of each layer."""
        return trace.saliency("product")
