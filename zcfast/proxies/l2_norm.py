"""The size of the weights."""

from torch import Tensor

from zcfast.ops import saliency_reduce
from zcfast.proxies.base import Proxy, register
from zcfast.tracing.passes import Pass
from zcfast.tracing.trace import Trace


@register
class L2Norm(Proxy):
    """Sum of ||W_l||_2."""

    name = "l2_norm"
    definition = "Sum of ||W_l||_2."
    source = "published code of Abdelfattah et al. 2021"
    needs = Pass.NONE

    def layerwise(self, trace: Trace) -> Tensor:
        """||W_l||_2 of each layer."""
        return saliency_reduce(trace.weights, trace.weights, ["square"])[0].sqrt()
