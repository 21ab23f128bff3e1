"""How sensitive the last map of a net is to its input, with what BatchNorm takes from it given back."""

from dataclasses import dataclass

import torch
from torch import Tensor

from zcfast.passes.base import Pass, Results
from zcfast.passes.map_difference import MapDifference
from zcfast.passes.repeated import Init, with_options
from zcfast.proxies.base import register
from zcfast.proxies.repeated import RepeatedProxy


@register
@dataclass(frozen=True)
class Zen(RepeatedProxy):
    """ln of how far the last map moves from x to x + 0.01 e, plus half the sum of ln BatchNorm variances.

    The variances are running ones, which go on from draw to draw: more repeats are another score, not only a better
    mean. For convolutional networks with BatchNorm.

    Attributes:
        repeats: draws; the published code makes 1 in its search and 32 where it scores one network.
        init: "official" draws standard-normal weights and noise x in the minibatch's shape; "as_is" takes the weights
            and inputs that are given.
    """

    name = "zen"
    definition = "ln of how far the last map moves from x to x + 0.01 e, plus half the sum of ln BatchNorm variances."
    source = "Lin et al. 2021 (Zen-NAS: a zero-shot NAS for high-performance image recognition)"

    repeats: int = 1
    init: Init = "official"

    @property
    def needs(self) -> tuple[type[Pass], ...]:
        """Two forward passes a draw."""
        return (with_options(MapDifference, repeats=self.repeats, init=self.init),)

    def rounds(self, results: Results) -> Tensor:
        """The score of each draw."""
        return torch.tensor(results[self.needs[0]], dtype=torch.float64)
