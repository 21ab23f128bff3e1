"""The signed sibling of snip."""

from torch import Tensor

from zcfast.passes.base import Results
from zcfast.passes.loss_gradient import LossGradient, LossGradients
from zcfast.proxies.base import Proxy, register


@register
class Plain(Proxy):
    """Sum of W_l * g_l, signed. Layers that BatchNorm follows give almost nothing: the loss ignores their scale."""

    name = "plain"
    definition = (
        "Sum of W_l * g_l, signed. Layers that BatchNorm follows give almost nothing: the loss ignores their scale."
    )
    source = "Mozer & Smolensky 1989; published code of Abdelfattah et al. 2021"
    needs = (LossGradient,)

    def layerwise(self, results: Results) -> Tensor:
        """The share of each layer."""
        gradients: LossGradients = results[LossGradient]
        return gradients.saliency("product")
