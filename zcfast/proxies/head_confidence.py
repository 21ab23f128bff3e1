"""How sure the attention heads of a net are."""

import math

from zcfast.passes.base import Results
from zcfast.passes.failures import ProxyError
from zcfast.passes.head_maxima import HeadMaxima
from zcfast.proxies.base import Proxy, register


@register
class HeadConfidence(Proxy):
    """Sum over attentions' queries, keys and values of the mean of their largest values over the tokens.

    As the published code has it: the outputs of the projections, not the attention itself. No labels are needed.
    """

    name = "head_confidence"
    definition = "Sum over attentions' queries, keys and values of the mean of their largest values over the tokens."
    source = "Serianni and Kalita 2023 (Training-free NAS for RNNs and transformers), published code"
    needs = (HeadMaxima,)
    sums_layers = False

    def value(self, results: Results) -> float:
        """The sum."""
        total = math.fsum(results[HeadMaxima])
        if not math.isfinite(total):
            raise ProxyError("undefined", "a query, key or value is not finite")
        return total
