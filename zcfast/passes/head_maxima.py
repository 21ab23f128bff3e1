"""How far the queries, keys and values of attention stand out among the tokens."""

import torch

from zcfast.passes.attention import AttentionCall, SeeAttention
from zcfast.passes.base import Pass, Results
from zcfast.passes.batch import Batch
from zcfast.passes.failures import Failure
from zcfast.passes.net import Net

NO_ATTENTION = Failure("undefined", "no attention ran: products around a softmax, or torch's functions for it")


class HeadMaxima(Pass):
    """Of each attention, in order, the means of its queries, keys and values' largest values over the tokens."""

    reads = "inputs"
    cost = 2.0

    def run(self, net: Net, batch: Batch, done: Results) -> list[float]:
        """Run the minibatch forward."""
        maxima: list[float] = []

        def see(call: AttentionCall) -> None:
            maxima.extend(each.detach().amax(-2).double().mean().item() for each in call.projections)

        with torch.no_grad():
            net.forward(batch.tensors()[0], modes=[SeeAttention(see)])
        if not maxima:
            raise NO_ATTENTION.as_error()
        return maxima
