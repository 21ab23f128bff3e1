"""The flow through a net of positive weights; no data is needed."""

from dataclasses import dataclass

from torch import Tensor

from zcfast.proxies.base import Proxy, register
from zcfast.tracing.passes import Pass
from zcfast.tracing.trace import Trace


class FlowProxy(Proxy):
    """A proxy that one pass of synflow gives."""

    needs: Pass

    def layerwise(self, trace: Trace) -> Tensor | None:
        """The flow through each layer, where the trace has run backward for it."""
        return trace.flows[self.needs].per_layer

    def value(self, trace: Trace) -> float:
        """The score; inf where it exceeds float64."""
        return trace.flows[self.needs].value

    def log_value(self, trace: Trace) -> float:
        """Natural logarithm of the score; -inf of a dead net."""
        return trace.flows[self.needs].log_value

    def method(self, trace: Trace) -> str:
        """By pairs in a forward pass, or by a backward pass."""
        return trace.flows[self.needs].method


@register
@dataclass(frozen=True)
class Synflow(FlowProxy):
    """Sum of |W_l * dR/dW_l| where every parameter is made positive and R is the sum of outputs for an input of ones.

    Every BatchNorm is removed. In float64, and its logarithm for nets that exceed even that.

    Attributes:
        signed: sum W_l * dR/dW_l with its sign. The two differ where terms can be negative, as behind layer
            normalisation, softmax or a subtraction, and may cancel there until rounding alone is left: undefined then.
    """

    name = "synflow"
    definition = (
        "Sum of |W_l * dR/dW_l| where every parameter is made positive and R is the sum of outputs "
        "for an input of ones."
    )
    source = "Tanaka et al. 2020 (SynFlow); Abdelfattah et al. 2021, section 3.2 and published code"

    signed: bool = False

    @property
    def needs(self) -> Pass:  # type: ignore[override]
        """The pass of the terms with or without their signs."""
        return Pass.LINEAR_FLOW_SIGNED if self.signed else Pass.LINEAR_FLOW
