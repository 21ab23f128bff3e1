"""On which ReLUs the samples of a minibatch agree."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from zcfast.passes.base import Pass, Results
from zcfast.passes.batch import Batch
from zcfast.passes.failures import ProxyError
from zcfast.passes.forward import Forward
from zcfast.passes.net import Net
from zcfast.passes.observation import Observation

_EXACT = 2**24  # float32 counts no further


class ReluPatterns(Pass):
    """[N, N] float64: how many outputs of the nn.ReLU modules two samples have both on, or both off.

    A module counts each time that it runs. Functional ReLUs and other functions, nn.ReLU6 among them, do not.
    """

    requires = (Forward,)
    reads = "inputs"

    def __init__(self) -> None:
        """Begin with none."""
        self.agreements: Sequence[Tensor] = []

    def observe(self, forward: Observation) -> None:
        """Watch the ReLUs."""
        self.agreements = forward.watch(_agreement, nn.ReLU)

    def run(self, net: Net, batch: Batch, done: Results) -> Tensor:
        """Sum over the ReLUs that ran."""
        samples = batch.samples
        total = torch.zeros(samples, samples, dtype=torch.float64, device=batch.device)
        for each in self.agreements:
            if len(each) != samples:
                raise ProxyError("undefined", f"a ReLU has {len(each)} rows where the minibatch has {samples} samples")
            total += each
        return total


def _agreement(output: Tensor) -> Tensor:
    """By a product of matrices of 1 and -1: the D outputs less twice those that differ."""
    if output.sum().isnan():
        raise ProxyError("undefined", "the output of a ReLU is not a number")
    signs = (output > 0).reshape(len(output), -1).to(torch.float32).mul_(2).sub_(1)
    total = torch.zeros(len(signs), len(signs), dtype=torch.float64, device=output.device)
    for start in range(0, signs.shape[1], _EXACT):
        part = signs[:, start : start + _EXACT]
        total += part @ part.T
    return (total + signs.shape[1]) / 2
