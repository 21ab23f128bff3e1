"""On the sign of whose gradients the samples of a minibatch agree."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from zcfast.passes.base import Pass, Results
from zcfast.passes.batch import Batch
from zcfast.passes.each_sample import NOT_AT_ONCE, compared, same
from zcfast.passes.failures import ProxyError
from zcfast.passes.net import Net
from zcfast.passes.part_gradient import part_gradient
from zcfast.passes.sample_gradients import sample_gradients

_FEW = 4  # samples that run one by one


class GradientSigns(Pass):
    """L tensors of int64: of each weight, how many samples have a positive gradient less those with a negative one.

    Of each sample alone, so BatchNorm in training mode takes the statistics of one sample. All run at once where the
    first, the middle and the last one have the same gradients so as they have alone; else one after the other.
    """

    reads = "batches"
    cost = 5.0

    def run(self, net: Net, batch: Batch, done: Results) -> list[Tensor]:
        """Count; no gradient is kept but those of three samples."""
        parts = batch.split(batch.samples)
        alone = {place: part_gradient(net, parts[place]) for place in compared(len(parts))}
        signs = _of_all(net, batch, alone) if len(parts) > _FEW else None
        if signs is None:
            signs = [torch.zeros_like(weight, dtype=torch.int64) for weight in net.slots.weights]
            for place, part in enumerate(parts):
                _add(signs, alone.get(place) or part_gradient(net, part))
        return signs


def _add(signs: Sequence[Tensor], gradients: Sequence[Tensor]) -> None:
    for total, gradient in zip(signs, gradients, strict=True):
        if gradient.isnan().any():
            raise ProxyError("undefined", "a gradient is NaN")
        total += gradient.sign().long()


def _of_all(net: Net, batch: Batch, alone: Mapping[int, Sequence[Tensor]]) -> list[Tensor] | None:
    """The counts of all samples in one pass; None where the net takes no such pass, or not to the same gradients."""
    weights = net.slots.weights
    signs = [torch.zeros_like(weight, dtype=torch.int64) for weight in weights]
    together = {place: [torch.zeros_like(weight) for weight in weights] for place in alone}

    def see(layer: int, start: int, gradients: Tensor) -> None:
        if gradients.isnan().any():
            raise ProxyError("undefined", "a gradient is NaN")
        signs[layer] += gradients.sign().sum(0).long()
        for place, found in together.items():
            if start <= place < start + len(gradients):
                found[layer] = gradients[place - start].clone()

    try:
        sample_gradients(net, batch, see)
    except NOT_AT_ONCE:  # the other way decides whether the net is at fault
        return None
    return signs if all(same(found, alone[place]) for place, found in together.items()) else None
