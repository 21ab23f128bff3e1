"""How independent the units of a recurrent layer are."""

from dataclasses import dataclass

from zcfast.errors import integer
from zcfast.ops import jacobian_correlation
from zcfast.passes.base import Pass, Results
from zcfast.passes.failures import ProxyError
from zcfast.passes.hidden_states import HiddenStates
from zcfast.proxies.base import Proxy, register


@register
@dataclass(frozen=True)
class HiddenCov(Proxy):
    """-sum_i [log(v_i + k) + 1/(v_i + k)], k = 1e-5: v are the eigenvalues of the correlations of a layer's units.

    The units are those of a recurrent layer, correlated over all samples and steps by their values before each step.
    The net is in evaluation mode; no labels are needed.

    Attributes:
        layer: which recurrent layer, from 0 in the order in which they run.
    """

    name = "hidden_cov"
    definition = (
        "-sum_i [log(v_i + k) + 1/(v_i + k)], k = 1e-5: v are the eigenvalues of the correlations of a layer's units."
    )
    source = "Serianni and Kalita 2023 (Training-free NAS for RNNs and transformers), published code"
    sums_layers = False

    layer: int = 0

    def __post_init__(self) -> None:
        """Check the option."""
        if integer("layer", self.layer) < 0:
            raise ValueError(f"layer: expected a number >= 0, got {self.layer}")

    @property
    def needs(self) -> tuple[type[Pass], ...]:
        """The states."""
        return (HiddenStates,)

    def value(self, results: Results) -> float:
        """The score of the layer."""
        layers = results[HiddenStates]
        if self.layer >= len(layers):
            raise ProxyError("undefined", f"{len(layers)} recurrent layers ran, and layer {self.layer} is none of them")
        states = layers[self.layer]
        if len(states) < 2:
            raise ProxyError("undefined", "the correlation of units needs two or more, got one")
        value = jacobian_correlation(states)
        if value.isnan() and not states.isnan().any():
            raise ProxyError("undefined", "a unit of the layer is constant, so it correlates with no other")
        return value.item()
