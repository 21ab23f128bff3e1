"""How much removing single weights changes the loss, to first order."""

from torch import Tensor

from zcfast.passes.base import Results
from zcfast.passes.loss_gradient import LossGradient, LossGradients
from zcfast.proxies.base import Proxy, register


@register
class Snip(Proxy):
    """Sum of |W_l * g_l|; of a tied weight, g_l is the gradient by the layer's own use of it."""

    name = "snip"
    definition = "Sum of |W_l * g_l|; of a tied weight, g_l is the gradient by the layer's own use of it."
    source = "Lee et al. 2019 (SNIP); Abdelfattah et al. 2021, section 3.2"
    needs = (LossGradient,)

    def layerwise(self, results: Results) -> Tensor:
        """The share of each layer."""
        gradients: LossGradients = results[LossGradient]
        return gradients.saliency("abs_product")
