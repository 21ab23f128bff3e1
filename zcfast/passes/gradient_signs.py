"""On the sign of whose gradients the samples of a minibatch agree."""

import torch
from torch import Tensor

from zcfast.passes.base import Pass, Results
from zcfast.passes.batch import Batch
from zcfast.passes.failures import ProxyError
from zcfast.passes.net import Net
from zcfast.passes.part_gradient import part_gradient


class GradientSigns(Pass):
    """L tensors of int64: of each weight, how many samples have a positive gradient less those with a negative one.

    Each sample runs forward and backward alone, so BatchNorm in training mode takes the statistics of one sample.
    """

    reads = "batches"
    cost = 9.0

    def run(self, net: Net, batch: Batch, done: Results) -> list[Tensor]:
        """Count sample by sample; no gradient is kept."""
        signs = [torch.zeros_like(weight, dtype=torch.int64) for weight in net.slots.weights]
        for part in batch.split(batch.samples):
            for total, gradient in zip(signs, part_gradient(net, part), strict=True):
                if gradient.isnan().any():
                    raise ProxyError("undefined", "a gradient is NaN")
                total += gradient.sign().long()
        return signs
