"""The one type that every reader of accuracies returns."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor


@dataclasses.dataclass(frozen=True)
class Table:
    """Accuracies of the architectures of a search space.

    Attributes:
        space: name of the search space.
        metrics: metric name -> float64 [len(space)] in the order of the space's `enumerate()`; NaN where missing.
        headline: the metrics that a summary shows.
        unit: of every metric, e.g. "percent".
        description: one line: what was trained and measured.
    """

    space: str
    metrics: dict[str, Tensor]
    headline: tuple[str, ...]
    unit: str
    description: str


def scatter(index: Tensor, values: Tensor, size: int) -> Tensor:
    """Put `values` [N] at the rows `index` [N] of a float64 [size] column that is NaN elsewhere."""
    column = torch.full((size,), torch.nan, dtype=torch.float64)
    column[index] = values.double()
    return column


def check_rows(index: Tensor, space: str) -> None:
    """Raise a ValueError if a row is no architecture of the space (-1) or two rows are the same one."""
    if bool((index < 0).any()):
        row = int((index < 0).nonzero()[0])
        raise ValueError(f"row {row}: expected an architecture of {space}, got one outside the space")
    ordered, rows = torch.sort(index, stable=True)
    repeated = (ordered[1:] == ordered[:-1]).nonzero()
    if len(repeated):
        first = int(repeated[0])
        raise ValueError(f"rows {int(rows[first])} and {int(rows[first + 1])}: the same architecture of {space} twice")
