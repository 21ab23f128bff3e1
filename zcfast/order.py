"""Orders of the numbers of a column, and columns of some rows as those of all."""

import numpy as np
import torch
from torch import Tensor


def best_first(column: Tensor) -> Tensor:
    """Rows of a column [N] from the highest entry to the lowest, int64 [N]; equal entries by row, NaN last."""
    # ~x = -x - 1 turns the order of integers round without the overflow of -x; a sort puts NaN after every number.
    reversed_order = -column if column.is_floating_point() else ~column
    return torch.sort(reversed_order, stable=True).indices


def average_ranks(column: Tensor) -> Tensor:
    """Ranks [N] from 1, the lowest, to N, float64; equal values share the average of their ranks. No NaN."""
    # As scipy.stats.rankdata, which takes a second to import.
    _, inverse, counts = np.unique(column.numpy(), return_inverse=True, return_counts=True)
    return torch.from_numpy((np.cumsum(counts) - (counts - 1) / 2)[inverse])


def log_rank_sum(columns: list[Tensor]) -> Tensor:
    """The sum over columns [n] of ln(rank / n), ranks from 1, the lowest, to n; float64 [n]. No NaN."""
    ranks = torch.stack([average_ranks(column) for column in columns])
    return (ranks / max(1, ranks.shape[1])).log().sum(0)


def spread(values: Tensor, rows: Tensor, count: int) -> Tensor:
    """Values [n] of some rows, a mask [count] or indices [n], as a column [count] float64; NaN in the others."""
    column = torch.full((count,), torch.nan, dtype=torch.float64)
    column[rows] = values.double()
    return column
