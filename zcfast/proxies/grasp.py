"""How much removing single weights changes the norm of the gradient, to first order."""

from torch import Tensor

from zcfast.ops import saliency_reduce
from zcfast.proxies.base import Proxy, register
from zcfast.tracing.passes import Pass
from zcfast.tracing.trace import Trace


@register
class Grasp(Proxy):
    """Sum of -W_l * (Hg)_l, signed; H is the Hessian over the counted weights, on the minibatch of g."""

    name = "grasp"
    definition = "Sum of -W_l * (Hg)_l, signed; H is the Hessian over the counted weights, on the minibatch of g."
    source = "Wang et al. 2020 (GraSP); Abdelfattah et al. 2021, section 3.2"
    needs = Pass.LOSS_GRAD | Pass.HVP

    def layerwise(self, trace: Trace) -> Tensor | None:
        """Sum of -w (Hg) of each layer."""
        return -saliency_reduce(trace.weights, trace.sampled.curvature, ["product"])[0]
