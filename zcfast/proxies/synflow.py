"""The flow through a net of positive weights; no data is needed."""

from torch import Tensor

from zcfast.proxies.base import Proxy, register
from zcfast.tracing.passes import Pass
from zcfast.tracing.trace import Trace


@register
class Synflow(Proxy):
    """Sum of W_l * dR/dW_l where every parameter is made positive and R is the sum of outputs for an input of ones.

    Every BatchNorm is removed. In float64, and its logarithm for nets that exceed even that.
    """

    name = "synflow"
    definition = (
        "Sum of W_l * dR/dW_l where every parameter is made positive and R is the sum of outputs for an input of ones."
    )
    source = "Tanaka et al. 2020 (SynFlow); Abdelfattah et al. 2021, section 3.2"
    needs = Pass.LINEAR_FLOW

    def layerwise(self, trace: Trace) -> Tensor | None:
        """The flow through each layer, where the trace has run backward for it."""
        return trace.flows[self.needs].per_layer

    def value(self, trace: Trace) -> float:
        """The score; inf where it exceeds float64."""
        return trace.flows[self.needs].value

    def log_value(self, trace: Trace) -> float:
        """Natural logarithm of the score; -inf of a dead net."""
        return trace.flows[self.needs].log_value
