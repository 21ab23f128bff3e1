"""The number of parameters."""

from zcfast.passes.base import Results
from zcfast.passes.weights import Weights
from zcfast.proxies.base import Proxy, register


@register
class Params(Proxy):
    """Trainable parameters of the whole net, tied ones once, frozen ones not."""

    name = "params"
    definition = "Trainable parameters of the whole net, tied ones once, frozen ones not."
    source = "Abdelfattah et al. 2021, section 4"
    needs = (Weights,)
    sums_layers = False

    def value(self, results: Results) -> float:
        """The count."""
        return float(results[Weights].trainable)
