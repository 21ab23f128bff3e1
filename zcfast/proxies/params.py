"""The number of parameters."""

from zcfast.proxies.base import Proxy, register
from zcfast.tracing.passes import Pass
from zcfast.tracing.trace import Trace


@register
class Params(Proxy):
    """Trainable parameters of the whole net, tied ones once, frozen ones not."""

    name = "params"
    definition = "Trainable parameters of the whole net, tied ones once, frozen ones not."
    source = "Abdelfattah et al. 2021, section 4"
    needs = Pass.NONE
    sums_layers = False

    def value(self, trace: Trace) -> float:
        """The count."""
        return float(sum(parameter.numel() for parameter in trace.module.parameters() if parameter.requires_grad))
