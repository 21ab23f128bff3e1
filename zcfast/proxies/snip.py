"""How much removing single weights changes the loss, to first order."""

from torch import Tensor

from zcfast.proxies.base import Proxy, register
from zcfast.tracing.passes import Pass
from zcfast.tracing.trace import Trace


@register
class Snip(Proxy):
    """Sum of |W_l * g_l|; of a tied weight, g_l is the gradient by the layer's own use of it."""

    name = "snip"
    source = "Lee et al. 2019 (SNIP); Abdelfattah et al. 2021, section 3.2"
    saliency = "abs_product"

    @property
    def needs(self) -> Pass:
        """The loss gradient."""
        return Pass.LOSS_GRAD

    def layerwise(self, trace: Trace) -> Tensor:
        """Sum of |w g| of each layer."""
        return trace.saliency("abs_product")
