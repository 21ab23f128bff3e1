"""How much removing single weights changes the norm of the gradient, to first order."""

from torch import Tensor

from zcfast.ops import saliency_reduce
from zcfast.passes.base import Results
from zcfast.passes.hessian_product import HessianProduct, HessianProducts
from zcfast.proxies.base import Proxy, register


@register
class Grasp(Proxy):
    """Sum of -W_l * (Hg)_l, signed; H is the Hessian over the counted weights, on the minibatch of g."""

    name = "grasp"
    definition = "Sum of -W_l * (Hg)_l, signed; H is the Hessian over the counted weights, on the minibatch of g."
    source = "Wang et al. 2020 (GraSP); Abdelfattah et al. 2021, section 3.2"
    needs = (HessianProduct,)

    def layerwise(self, results: Results) -> Tensor:
        """Sum of -w (Hg) of each layer."""
        found: HessianProducts = results[HessianProduct]
        return -saliency_reduce(found.weights, found.products, ["product"])[0]

    def method(self, results: Results) -> str:
        """By a forward pass with tangents, or as the gradient of a gradient."""
        found: HessianProducts = results[HessianProduct]
        return found.method
