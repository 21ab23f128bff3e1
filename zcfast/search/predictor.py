"""Ranks architectures by what some trainings reached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from zcfast.analysis.columns import Column, aligned
from zcfast.order import average_ranks
from zcfast.scoring.space import score_space
from zcfast.search.features import Features, choices_of, rows_of
from zcfast.search.gaussian_process import GaussianProcess, normal_scores
from zcfast.search.regressor import features
from zcfast.spaces import Cells, Decisions, Enumerated, SearchSpace, as_space
from zcfast.spaces.forms import closed_forms

DIGITS = 9  # behind the point, of what is compared: architectures with equal features stay equal
PRIOR = 0.25  # weight of path_rank's rank beside the prediction's
STATISTICS, RANK = "path_statistics", "path_rank"


@dataclass(frozen=True, eq=False)
class Predictor:
    """Accuracies of 10 to 200 trained architectures as a rank of all others; ``by`` of ``zcfast.design``.

        predictor = zcfast.search.predictor(space, rows, accuracies)
        found = zcfast.design(space, by=predictor, limits={"flops": 450e6})

    Attributes:
        space: the search space.
        process: the Gaussian process of the normal scores of the accuracies.
        features: what describes an architecture, of a space without path statistics.
    """

    space: SearchSpace[Any]
    process: GaussianProcess
    features: Features | None

    def rank(self, space: SearchSpace[Any], cells: Any) -> Tensor:
        """Architectures of the space as numbers [N], float64, higher is better; NaN where none can be built.

        With path statistics: the logarithm of the rank of the prediction among these N, as a share of N, plus a
        quarter of that of ``path_rank``, so that the rank depends on the set. Without: the prediction.
        """
        if space.name != self.space.name:
            raise ValueError(f"space: expected {self.space.name}, whose accuracies were given, got {space.name}")
        predicted = self.process.mean(_described(space, self.features, cells)).round(decimals=DIGITS)
        if self.features is not None or not len(cells):
            return predicted
        prior = score_space(space, [RANK], cells=cells)[RANK].cpu()
        return _log_ranks(predicted) + PRIOR * _log_ranks(prior)

    def __repr__(self) -> str:
        """The space and the number of trainings."""
        return f"Predictor({self.space.name}: {len(self.process.weights)} trained)"


def predictor(space: str | SearchSpace[Any], rows: Cells | Tensor | Sequence[int], accuracies: Column) -> Predictor:
    """What ranks the architectures of a space by the accuracies of a few.

    A Gaussian process predicts the normal scores of the accuracies: of spaces of cells from their path statistics and
    choices, of others from layers by kind and choices (zcfast/search/features.py).

    Args:
        space: the search space or its name.
        rows: n trained architectures, or their rows in a space that lists them.
        accuracies: what they reached [n], higher is better; NaN for a training that failed, which is left out.

    Raises:
        ValueError: fewer than two accuracies, infinite ones, another length, a network that cannot be built, a space of
            which nothing can be counted.

    Source: zcfast. The columns and the weight of path_rank were picked after looking at the accuracies of NAS-Bench-201
    and NAS-Bench-101 (docs/design.md).
    """
    searched: SearchSpace[Any] = as_space(space)
    cells = rows_of(searched, rows)
    (column,) = aligned({"accuracies": accuracies})
    if len(column) != len(cells):
        raise ValueError(f"accuracies: expected one for each of {len(cells)} rows, got {len(column)}")
    kept = ~column.double().isnan()
    cells, reached = cells[kept], column[kept].double()
    if len(reached) < 2 or not bool(reached.isfinite().all()):
        raise ValueError(f"accuracies: expected two or more finite numbers, got {len(reached)}")
    has_paths = searched.offers(Enumerated) is not None and STATISTICS in closed_forms(searched)
    described = None if has_paths else Features.fit(searched, cells)
    known = _described(searched, described, cells)
    if bool(known.isnan().any()):
        raise ValueError("rows: expected networks that can be built, got one that cannot")
    return Predictor(searched, GaussianProcess.fit(known, normal_scores(reached)), described)


def _log_ranks(column: Tensor) -> Tensor:
    return (average_ranks(column) / len(column)).log()


def _described(space: SearchSpace[Any], own: Features | None, cells: Any) -> Tensor:
    """Features [N, D]: path statistics and choices as they vary over the whole space, or those of its own."""
    if own is not None:
        return own.of(cells)
    index = space.capability(Enumerated).index(cells).cpu()
    known = features(space.name)
    return known[index] if space.offers(Decisions) is None else torch.cat([known[index], choices_of(space)[index]], 1)
