"""How alike the samples are where they enter the activations, and so the gradients of their loss there."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from zcfast.passes.base import Pass, Results
from zcfast.passes.batch import Batch
from zcfast.passes.failures import ProxyError
from zcfast.passes.forward import Forward
from zcfast.passes.loss_gradient import LossGradient
from zcfast.passes.net import Net
from zcfast.passes.observation import Observation
from zcfast.passes.pulls import Pulls
from zcfast.passes.rectifiers import as_rows
from zcfast.passes.relu_patterns import NO_ACTIVATION, other_rows

_BLOCK = 4096  # places


@dataclass(frozen=True)
class Correlations:
    """Of each call of an activation, in order, [N, N] float64 absolute correlations of the samples; None where one is
    constant over the places and correlates with nothing.

    Attributes:
        inputs: of what the activations got; those in place show what they gave.
        gradients: of the derivatives of the loss by what they got, as far as each acts through its own call.
    """

    inputs: Sequence[Tensor | None]
    gradients: Sequence[Tensor | None]


class ActivationCorrelations(Pass):
    """`Correlations` of the minibatch, of all activations that switch at zero (`SeeRectifiers`)."""

    requires = (Forward, LossGradient)

    def __init__(self) -> None:
        """Begin with none."""
        self.inputs: Sequence[Tensor | None] = []
        self.pulls = Pulls(_correlation)

    def observe(self, forward: Observation) -> None:
        """Watch what the activations get, and what comes back there."""
        self.inputs = forward.watch_calls(lambda call: _correlation(call.input))
        self.pulls = forward.pull_rectified(_correlation)

    def run(self, net: Net, batch: Batch, done: Results) -> Correlations:
        """Give what has been seen."""
        if batch.samples < 2:
            raise ProxyError("undefined", "one sample correlates with no other")
        if not self.inputs:
            raise NO_ACTIVATION.as_error()
        for each in (*self.inputs, *self.pulls.seen):
            if each is not None and len(each) != batch.samples:
                raise other_rows(len(each), batch.samples)
        return Correlations(self.inputs, self.pulls.seen)


def _correlation(maps: Tensor) -> Tensor | None:
    """Of the rows of a map [N, ...]; sums in float64 over blocks of float32."""
    rows = as_rows(maps.detach())
    rows = rows if rows.dtype == torch.float64 else rows.float()
    centred = rows - rows[:, :1]  # which leaves exact zeros of a constant row
    centred -= centred.mean(1, keepdim=True)
    products = torch.zeros(len(rows), len(rows), dtype=torch.float64, device=rows.device)
    for start in range(0, rows.shape[1], _BLOCK):
        part = centred[:, start : start + _BLOCK]
        products += part @ part.T
    if not products.isfinite().all():
        raise ProxyError("undefined", "what an activation gets, or its gradient, is not finite")
    scale = products.diagonal().sqrt()
    return (products / torch.outer(scale, scale)).abs_() if bool((scale > 0).all()) else None
