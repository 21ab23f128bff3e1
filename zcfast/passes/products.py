"""The multiply-adds of everything that a net runs, whoever calls it: layers, functions, attention, recurrences."""

import torch
from torch import Tensor

from zcfast.nets.inputs import mapped
from zcfast.nets.products import UncountedError, counting
from zcfast.passes.base import Pass, Results
from zcfast.passes.batch import Batch, find_logits
from zcfast.passes.failures import ProxyError
from zcfast.passes.net import Net


class Products(Pass):
    """Multiply-adds of one forward pass of the minibatch, a sample; see ``zcfast.nets.products.counting``."""

    reads = "inputs"
    cost = 1.0

    def run(self, net: Net, batch: Batch, done: Results) -> float:
        """Count them."""
        inputs, _ = batch.tensors()
        net.begin_again()
        try:
            with torch.random.fork_rng(net.random_devices), counting(net.modules) as counted:
                output = net.call(mapped(Tensor.clone, inputs))
        except UncountedError as error:
            raise ProxyError("refused", str(error)) from error
        if batch.logits is not find_logits:
            batch.found_logits(output, batch.samples)
        return counted.total / batch.samples
