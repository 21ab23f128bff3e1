"""The work of a forward pass, whoever does it."""

from zcfast.passes.base import Results
from zcfast.passes.products import Products
from zcfast.proxies.base import Proxy, register


@register
class MultiplyAdds(Proxy):
    """Multiply-adds of all matrix products and convolutions that a forward pass runs, for one sample.

    Attention, recurrences, functions on parameters of the net and products of activations count like layers; biases,
    norms, pools, activations and look-ups do not. It is half of what torch's FlopCounterMode counts, and equals `flops`
    where counted layers do all the work. What is done once for a whole minibatch, as products of weights alone are,
    counts by each sample's share.
    """

    name = "multiply_adds"
    source = "torch.utils.flop_counter"
    definition = "Multiply-adds of all matrix products and convolutions that a forward pass runs, for one sample."
    needs = (Products,)
    sums_layers = False

    def value(self, results: Results) -> float:
        """The count."""
        count: float = results[Products]
        return count
