"""The parts of AZ-NAS that a single net has; its score is that of a set of nets (`zcfast.analysis.az_nas`)."""

from abc import abstractmethod
from dataclasses import dataclass
from itertools import pairwise
from math import inf

import torch
from torch import Tensor

from zcfast.passes.base import Pass, Results
from zcfast.passes.block_flow import BlockFlow, FlowOfBlocks
from zcfast.passes.repeated import Init, with_options
from zcfast.proxies.base import register
from zcfast.proxies.repeated import RepeatedProxy

_EPSILON = 1e-6


@dataclass(frozen=True)
class BlockProxy(RepeatedProxy):
    """A number that `FlowOfBlocks` gives.

    Attributes:
        repeats: draws; the published code makes one.
        init: "official" draws weights by Kaiming's rule (fan in) and normal noise of the minibatch's shape; "as_is"
            takes the weights and inputs that are given.
    """

    source = "Lee and Ham 2024 (AZ-NAS: assembling zero-cost proxies for network architecture search)"

    repeats: int = 3
    init: Init = "official"

    @property
    def needs(self) -> tuple[type[Pass], ...]:
        """The pass that all of them share."""
        return (with_options(BlockFlow, repeats=self.repeats, init=self.init),)

    def rounds(self, results: Results) -> Tensor:
        """The number of each draw."""
        return torch.tensor([self.of(each) for each in results[self.needs[0]]], dtype=torch.float64)

    @abstractmethod
    def of(self, flow: FlowOfBlocks) -> float:
        """The number of one draw."""


@register
@dataclass(frozen=True)
class AzExpressivity(BlockProxy):
    """Sum over stem and blocks of the entropy of the eigenvalues of their maps' covariance."""

    name = "az_expressivity"
    definition = "Sum over stem and blocks of the entropy of the eigenvalues of their maps' covariance."

    def of(self, flow: FlowOfBlocks) -> float:
        """The sum."""
        return sum(flow.entropies)


@register
@dataclass(frozen=True)
class AzProgressivity(BlockProxy):
    """The least that a block adds to the entropy of the one before it."""

    name = "az_progressivity"
    definition = "The least that a block adds to the entropy of the one before it."

    def of(self, flow: FlowOfBlocks) -> float:
        """The least difference."""
        differences = [after - before for before, after in pairwise(flow.entropies)]
        return float(torch.tensor(differences, dtype=torch.float64).min())  # NaN where one is


@register
@dataclass(frozen=True)
class AzTrainability(BlockProxy):
    """Mean over blocks of 2 - s - 1 / (s + 1e-6), s the largest singular value of their backward map.

    0 at most; -inf where a block gives the gradient back as it is.
    """

    name = "az_trainability"
    definition = "Mean over blocks of 2 - s - 1 / (s + 1e-6), s the largest singular value of their backward map."

    def of(self, flow: FlowOfBlocks) -> float:
        """The mean."""
        values = [-inf if s is None else 2 - s - 1 / (s + _EPSILON) for s in flow.singular_values]
        return sum(values) / len(values)
