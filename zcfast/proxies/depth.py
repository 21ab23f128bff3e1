"""How deep a net is."""

from zcfast.passes.base import Results
from zcfast.passes.longest_path import LongestPath
from zcfast.proxies.base import Proxy, register


@register
class Depth(Proxy):
    """Most calls of counted layers on one path from the inputs to the logits.

    nn.MultiheadAttention is two layers, by its projections. A baseline: labels, weights and inputs do not matter.
    """

    name = "depth"
    definition = "Most calls of counted layers on one path from the inputs to the logits."
    source = "a count"
    needs = (LongestPath,)
    sums_layers = False

    def value(self, results: Results) -> float:
        """The count."""
        return float(results[LongestPath])
