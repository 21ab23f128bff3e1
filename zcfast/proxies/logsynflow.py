"""synflow with the logarithm inside of the sum."""

from dataclasses import dataclass

import torch
from torch import Tensor

from zcfast.passes.base import Pass, Results
from zcfast.passes.flow.linear_flow import DrawnLogFlow, Flow, LogLinearFlow
from zcfast.passes.repeated import Init, with_options
from zcfast.proxies.base import register
from zcfast.proxies.repeated import RepeatedProxy


@register
@dataclass(frozen=True)
class LogSynflow(RepeatedProxy):
    """Sum of |W_l * log(dR/dW_l + 1)|, R and the net as in synflow.

    It is no function of synflow, and stays small where that overflows. Higher is better; no data is needed.

    Attributes:
        init: "as_is" takes the weights that are there, "official" the mean over draws by Kaiming's rule (fan out).
        repeats: draws; the published code makes 3. Without meaning as it is.
    """

    name = "logsynflow"
    definition = "Sum of |W_l * log(dR/dW_l + 1)|, R and the net as in synflow."
    source = "Cavagnero et al. 2023 (FreeREA)"
    network = "without BatchNorm"
    sums_layers = True

    repeats: int = 3
    init: Init = "as_is"

    @property
    def needs(self) -> tuple[type[Pass], ...]:
        """The pass of the weights that are there, or of drawn ones."""
        return (LogLinearFlow if self.init == "as_is" else with_options(DrawnLogFlow, repeats=self.repeats),)

    def layerwise(self, results: Results) -> Tensor | None:
        """The share of each layer, where it was asked for, of the weights that are there."""
        return results[LogLinearFlow].per_layer if self.init == "as_is" else None

    def rounds(self, results: Results) -> Tensor:
        """The score of each draw."""
        found: Flow | list[float] = results[self.needs[0]]
        return torch.tensor([found.value] if isinstance(found, Flow) else found, dtype=torch.float64)
