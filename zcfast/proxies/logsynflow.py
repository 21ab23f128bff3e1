"""synflow with the logarithm inside of the sum."""

from torch import Tensor

from zcfast.passes.base import Results
from zcfast.passes.flow.linear_flow import Flow, LogLinearFlow
from zcfast.proxies.base import Proxy, register


@register
class LogSynflow(Proxy):
    """Sum of |W_l * log(dR/dW_l + 1)|, R and the net as in synflow.

    It is no function of synflow, and stays small where that overflows. Higher is better; no data is needed.
    """

    name = "logsynflow"
    definition = "Sum of |W_l * log(dR/dW_l + 1)|, R and the net as in synflow."
    source = "Cavagnero et al. 2023 (FreeREA)"
    needs = (LogLinearFlow,)
    network = "without BatchNorm"

    def layerwise(self, results: Results) -> Tensor | None:
        """The share of each layer, where it was asked for."""
        flow: Flow = results[LogLinearFlow]
        return flow.per_layer

    def value(self, results: Results) -> float:
        """The score."""
        flow: Flow = results[LogLinearFlow]
        return flow.value
