"""How much removing single weights changes the norm of the gradient, to first order."""

from dataclasses import dataclass

from torch import Tensor

from zcfast.ops import saliency_reduce
from zcfast.proxies.base import Proxy, register
from zcfast.tracing.passes import Pass
from zcfast.tracing.trace import Trace


@register
@dataclass(frozen=True)
class Grasp(Proxy):
    """Sum of -W_l * (Hg)_l, signed; H is the Hessian over the counted weights, on the minibatch of g.

    Attributes:
        scale_invariant: take the values from one more ordinary backward pass in place of the second-order pass. Refused
            unless train-mode BatchNorm alone follows every counted layer but one linear classifier. Its error comes
            from BatchNorm's eps: on nets of NAS-Bench-101 the value of a layer is off by up to 2e-4 of the largest
            layer's, more where the variance of a channel comes near eps. Values of layers have both signs, so the
            relative error of a total that nearly cancels is larger.
    """

    name = "grasp"
    source = "Wang et al. 2020 (GraSP); Abdelfattah et al. 2021, section 3.2"

    scale_invariant: bool = False

    @property
    def needs(self) -> Pass:
        """A second-order pass, or one backward pass from the logits."""
        return Pass.LOSS_GRAD | (Pass.LOGIT_CURVATURE if self.scale_invariant else Pass.HVP)

    def layerwise(self, trace: Trace) -> Tensor | None:
        """Sum of -w (Hg) of each layer."""
        if self.scale_invariant:
            return trace.sampled.invariant_grasp
        return -saliency_reduce(trace.weights, trace.sampled.curvature, ["product"])[0]
