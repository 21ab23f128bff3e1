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
        scale_invariant: take the values from one more ordinary backward pass in place of the second-order pass, of
            which layers that train-mode BatchNorm does not follow, but for one linear classifier, still take their
            part. Its error comes from BatchNorm's eps: measured, the value of a layer was off by less than the largest
            eps / (variance + eps) of a channel, as a share of the largest layer's. Refused where that exceeds 0.01, and
            where BatchNorm follows no layer. Values of layers have both signs, so the relative error of a total that
            nearly cancels is larger.
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
