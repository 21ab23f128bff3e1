"""Scores of a whole space as a search uses them."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor

from zcfast.analysis.columns import Column, as_column
from zcfast.order import best_first
from zcfast.search.streams import Streams
from zcfast.spaces import CellSpace


@dataclasses.dataclass(frozen=True, eq=False)
class Proxy:
    """One score for each architecture of a space, and how much of them is used.

    Attributes:
        scores: float64 [N] in the order of `enumerate()`, higher is better, NaN: no score; -inf is a real lowest score.
        places: int64 [N]: 0 for the best score; of equal scores the lower row is the better one, NaN comes last.
        amount: how many cells a warm-up scores, or the ratio of a move proposal.
    """

    scores: Tensor
    places: Tensor
    amount: float

    @classmethod
    def of(cls, column: Column, amount: float) -> Proxy:
        """Errors: ValueError for scores that are no column of numbers or all NaN."""
        scores = as_column(column, "scores").double()
        if scores.dim() != 1:
            came = f"shape {list(scores.shape)}"
            raise ValueError(f"scores: expected numbers [N], one for each architecture of the space, got {came}")
        if scores.isnan().all():
            raise ValueError("scores: expected at least one score that is a number, got NaN only")
        places = torch.empty(len(scores), dtype=torch.int64)
        places[best_first(scores)] = torch.arange(len(scores))
        return cls(scores, places, amount)

    def check(self, space: CellSpace[Any]) -> None:
        """Raise a ValueError unless the scores are those of the whole space."""
        if len(self.scores) != len(space):
            raise ValueError(f"scores: expected {len(space)} of {space.title}, got {len(self.scores)}")

    def best_of_random(self, streams: Streams, count: int) -> Tensor:
        """The best-scored of `amount` distinct random architectures, best first, int64 [R, count], count <= amount.

        The sample is the beginning of the random order that `random_rows` continues.
        """
        sample = streams.permutation(len(self.scores), 0, int(self.amount))
        places = self.places.to(sample.device)[sample]
        best = places.topk(count, dim=1, largest=False, sorted=True).indices
        return sample.gather(1, best)
