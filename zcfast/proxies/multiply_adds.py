"""The work of a forward pass, whoever does it."""

from zcfast.proxies.base import Proxy, register
from zcfast.tracing.passes import Pass
from zcfast.tracing.trace import Trace


@register
class MultiplyAdds(Proxy):
    """Multiply-adds of all matrix products and convolutions that a forward pass runs, for one sample.

    Attention, recurrences, functions on parameters of the net and products of activations count like layers; biases,
    norms, pools, activations and look-ups do not. It is half of what torch's FlopCounterMode counts, and equals `flops`
    where counted layers do all the work.
    """

    name = "multiply_adds"
    source = "torch.utils.flop_counter"
    needs = Pass.PRODUCTS
    sums_layers = False

    def value(self, trace: Trace) -> float:
        """The count."""
        return trace.products
