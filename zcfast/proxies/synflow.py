"""The flow through a net of positive weights; no data is needed."""

from dataclasses import dataclass

from torch import Tensor

from zcfast.passes.base import Pass, Results
from zcfast.passes.flow.linear_flow import Flow, LinearFlow, SignedLinearFlow
from zcfast.proxies.base import Proxy, register


class FlowProxy(Proxy):
    """A proxy that one pass of synflow gives."""

    needs: tuple[type[Pass], ...]

    def _flow(self, results: Results) -> Flow:
        flow: Flow = results[self.needs[0]]
        return flow

    def layerwise(self, results: Results) -> Tensor | None:
        """The flow through each layer, where it was asked for."""
        return self._flow(results).per_layer

    def value(self, results: Results) -> float:
        """The score; inf where it exceeds float64."""
        return self._flow(results).value

    def log_value(self, results: Results) -> float:
        """Natural logarithm of the score; -inf of a dead net."""
        return self._flow(results).log_value

    def method(self, results: Results) -> str:
        """By pairs in a forward pass, or by a backward pass."""
        return self._flow(results).method


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

    network = "without BatchNorm"

    signed: bool = False

    @property
    def needs(self) -> tuple[type[Pass], ...]:  # type: ignore[override]
        """The pass of the terms with or without their signs."""
        return (SignedLinearFlow if self.signed else LinearFlow,)
