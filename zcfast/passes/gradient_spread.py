"""How the gradient of the loss differs between minibatches."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from zcfast.passes.base import Pass, Results
from zcfast.passes.batch import Batch
from zcfast.passes.net import Net
from zcfast.passes.part_gradient import part_gradient


@dataclass
class Spread:
    """Sums over minibatches, for each layer one tensor of its weight's shape in float64; no gradient is kept.

    Attributes:
        sizes: sum of the gradients' absolute values.
        means: mean gradient.
        squares: sum of the squared deviations from it; 0 exactly where all gradients are equal.
        eps: what rounding does to a number of each layer's type.
        minibatches: how many have been added.
    """

    sizes: list[Tensor]
    means: list[Tensor]
    squares: list[Tensor]
    eps: list[float]
    minibatches: int = 0

    @classmethod
    def of(cls, weights: Sequence[Tensor]) -> "Spread":
        """Of no minibatch yet."""
        sizes, means, squares = ([torch.zeros_like(each, dtype=torch.float64) for each in weights] for _ in range(3))
        return cls(sizes, means, squares, [torch.finfo(each.dtype).eps for each in weights])

    def add(self, gradients: Sequence[Tensor]) -> None:
        """Take in one minibatch, by Welford's rule: a sum of squares less a square would lose what differs little."""
        self.minibatches += 1
        for gradient, size, mean, square in zip(gradients, self.sizes, self.means, self.squares, strict=True):
            own = gradient.double()
            size += own.abs()
            off = own - mean
            mean += off / self.minibatches
            square.addcmul_(off, own - mean)


class GradientSpread(Pass):
    """Forward and backward passes of several minibatches: those that were given, or parts of a single one."""

    reads = "batches"
    cost = 3.0
    minibatches = 2

    def run(self, net: Net, batch: Batch, done: Results) -> Spread:
        """Add up the minibatches.

        Raises:
            ProxyError: others were given, or there are fewer samples than parts.
        """
        spread = Spread.of(net.slots.weights)
        for part in batch.minibatches(self.minibatches):
            spread.add(part_gradient(net, part))
        return spread


@cache
def gradient_spread(minibatches: int) -> type[GradientSpread]:
    """The pass of so many minibatches: each number has a class of its own, the same one whenever it is asked for."""
    if minibatches == GradientSpread.minibatches:
        return GradientSpread
    own = {"minibatches": minibatches, "__module__": __name__}
    return type(f"GradientSpread{minibatches}", (GradientSpread,), own)
