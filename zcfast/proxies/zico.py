"""How steady the gradient is from one minibatch to the next."""

from dataclasses import dataclass

import torch
from torch import Tensor

from zcfast.passes.base import Pass, Results
from zcfast.passes.failures import ProxyError
from zcfast.passes.gradient_spread import Spread, gradient_spread
from zcfast.proxies.base import Proxy, register


@register
@dataclass(frozen=True)
class Zico(Proxy):
    """Sum over layers of log(sum over weights of mean_b |g_b| / std_b g_b), g_b the gradient on minibatch b.

    The minibatches are those of the list that `score` gets, or equal parts of the one that it gets, in its order.
    Weights whose gradients are all equal are left out, and layers without others. Higher is better.

    Attributes:
        minibatches: how many; the published code takes two. With two, few weights decide over a layer; three or
            more are steadier. Scores of different numbers do not compare.
    """

    name = "zico"
    definition = (
        "Sum over layers of log(sum over weights of mean_b |g_b| / std_b g_b), g_b the gradient on minibatch b."
    )
    source = "Li et al. 2023 (ZiCo)"

    minibatches: int = 2

    def __post_init__(self) -> None:
        """Check the option."""
        if isinstance(self.minibatches, bool) or not isinstance(self.minibatches, int) or self.minibatches < 2:
            raise ValueError(f"minibatches: expected two or more, got {self.minibatches!r}")

    @property
    def needs(self) -> tuple[type[Pass], ...]:
        """The pass of so many minibatches."""
        return (gradient_spread(self.minibatches),)

    def layerwise(self, results: Results) -> Tensor:
        """The share of each layer; 0 of those left out."""
        spread: Spread = results[gradient_spread(self.minibatches)]
        for size, square, eps in zip(spread.sizes, spread.squares, spread.eps, strict=True):
            if 0 < square.sum() < eps * (size / spread.minibatches).square().sum():  # the root of eps, of the gradient
                raise ProxyError("undefined", "a layer's gradients of all minibatches are equal up to rounding")
        ratios = [
            _ratio(size, square, spread.minibatches) for size, square in zip(spread.sizes, spread.squares, strict=True)
        ]
        values = torch.stack(ratios)
        if not values.any():
            raise ProxyError("undefined", "the gradients of all minibatches are equal")
        return torch.where(values == 0, 0.0, values.log())


def _ratio(size: Tensor, square: Tensor, minibatches: int) -> Tensor:
    """The sum over the weights of a layer of the mean of absolute values by the standard deviation."""
    differs = square != 0
    return ((size[differs] / minibatches) / (square[differs] / minibatches).sqrt()).sum()
