"""The size of the weights."""

from torch import Tensor

from zcfast.ops import saliency_reduce
from zcfast.passes.base import Results
from zcfast.passes.weights import Weights
from zcfast.proxies.base import Proxy, register


@register
class L2Norm(Proxy):
    """Sum of ||W_l||_2."""

    name = "l2_norm"
    definition = "Sum of ||W_l||_2."
    source = "published code of Abdelfattah et al. 2021"
    needs = (Weights,)

    def layerwise(self, results: Results) -> Tensor:
        """||W_l||_2 of each layer."""
        weights = results[Weights].weights
        return saliency_reduce(weights, weights, ["square"])[0].sqrt()
