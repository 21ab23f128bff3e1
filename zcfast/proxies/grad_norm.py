"""Sum over layers of the norm of the loss gradient."""

from torch import Tensor

from zcfast.proxies.base import Proxy, register
from zcfast.tracing.passes import Pass
from zcfast.tracing.trace import Trace


@register
class GradNorm(Proxy):
    """Sum of ||g_l||_2: of the layers' norms, not the norm of the whole gradient."""

    name = "grad_norm"
    definition = "Sum of ||g_l||_2: of the layers' norms, not the norm of the whole gradient."
    source = "Abdelfattah et al. 2021, section 3.1"
    needs = Pass.LOSS_GRAD
    saliency = "square"

    def layerwise(self, trace: Trace) -> Tensor:
        """||g_l||_2 of each layer."""
        return trace.saliency("square").sqrt()
