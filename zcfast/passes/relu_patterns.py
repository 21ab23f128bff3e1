"""On which activations the samples of a minibatch agree."""

from collections.abc import Sequence

import torch
from torch import Tensor

from zcfast.passes.base import Pass, Results
from zcfast.passes.batch import Batch
from zcfast.passes.failures import Failure, ProxyError
from zcfast.passes.forward import Forward
from zcfast.passes.net import Net
from zcfast.passes.observation import Observation
from zcfast.passes.rectifiers import RectifierCall

NO_ACTIVATION = Failure("undefined", "no activation ran that switches at zero")

_EXACT = 2**24  # float32 counts no further


class ReluPatterns(Pass):
    """[N, N] float64: how many outputs of the activations two samples have both on, above zero, or both off.

    Activations are those that switch at zero, modules and functions (`SeeRectifiers`); each counts whenever it runs.
    """

    requires = (Forward,)
    reads = "inputs"

    def __init__(self) -> None:
        """Begin with none."""
        self.agreements: Sequence[Tensor] = []

    def observe(self, forward: Observation) -> None:
        """Watch the activations."""
        self.agreements = forward.watch_calls(_agreement)

    def run(self, net: Net, batch: Batch, done: Results) -> Tensor:
        """Sum over the activations that ran."""
        if not self.agreements:
            raise NO_ACTIVATION.as_error()
        samples = batch.samples
        total = torch.zeros(samples, samples, dtype=torch.float64, device=batch.device)
        for each in self.agreements:
            if len(each) != samples:
                raise other_rows(len(each), samples)
            total += each
        return total


def other_rows(rows: int, samples: int) -> ProxyError:
    """Why patterns of samples do not exist: an activation sees other rows."""
    return ProxyError("undefined", f"an activation has {rows} rows where the minibatch has {samples} samples")


def _agreement(call: RectifierCall) -> Tensor:
    """All outputs, less those that only one of the two has on."""
    above = call.above
    both = torch.zeros(len(above), len(above), dtype=torch.float64, device=above.device)
    for start in range(0, above.shape[1], _EXACT):
        part = above[:, start : start + _EXACT]
        both += part @ part.T
    on = both.diagonal()
    return above.shape[1] + 2 * both - on - on[:, None]
