"""Sum over layers of the norm of the loss gradient."""

from torch import Tensor

from zcfast.passes.base import Results
from zcfast.passes.loss_gradient import LossGradient, LossGradients
from zcfast.proxies.base import Proxy, register


@register
class GradNorm(Proxy):
    """Sum of ||g_l||_2: of the layers' norms, not the norm of the whole gradient."""

    name = "grad_norm"
    definition = "Sum of ||g_l||_2: of the layers' norms, not the norm of the whole gradient."
    source = "Abdelfattah et al. 2021, section 3.1"
    needs = (LossGradient,)

    def layerwise(self, results: Results) -> Tensor:
        """||g_l||_2 of each layer."""
        gradients: LossGradients = results[LossGradient]
        return gradients.saliency("square").sqrt()
