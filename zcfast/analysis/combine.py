"""One score from several; the majority vote of three is `zcfast.vote`."""

from __future__ import annotations

import torch
from torch import Tensor

from zcfast import order
from zcfast.analysis.columns import Column, aligned, complete_rows, selected
from zcfast.order import average_ranks
from zcfast.proxies.populations import AZ_NAS


def rank_sum(*columns: Column) -> Tensor:
    """The sum of the ranks that the columns give each row.

    Args:
        columns: one or more [N] scores of the same rows, higher is better.

    Returns:
        [N] float64, higher is better. In each column the n rows without NaN are ranked from 1, the worst, to n; equal
        scores share the average of their ranks, -inf is a real lowest value. A row with NaN in any column gets NaN and
        takes no rank from the others. The ranks depend on the whole set.

    Raises:
        ValueError: no column, or columns that are not one-dimensional, of one length and of real numbers.
    """
    ranked, complete = _complete(columns)
    return _spread(torch.stack([average_ranks(column) for column in ranked]).sum(0), complete)


def log_rank_sum(*columns: Column) -> Tensor:
    """The sum over the columns of the logarithm of each row's rank, as a share of the rows.

    Takes and refuses what `rank_sum` does, with the same ranks. [N] float64, at most 0 and higher is better: a row that
    one column ranks badly loses more than others can make good. A column whose values are all equal moves no rank. NaN
    as in `rank_sum`; `az_nas` ranks rows with NaN last.
    Source: Lee & Ham, "AZ-NAS: Assembling Zero-Cost Proxies for Network Architecture Search", CVPR 2024, section 3.3.
    """
    ranked, complete = _complete(columns)
    return _spread(order.log_rank_sum(ranked), complete)


def az_nas(expressivity: Column, progressivity: Column, trainability: Column, complexity: Column) -> Tensor:
    """The score of AZ-NAS, of a set of networks: `log_rank_sum` where a missing value ranks last.

    Args:
        expressivity, progressivity, trainability: [N], of `az_expressivity`, `az_progressivity` and `az_trainability`.
        complexity: [N], of `flops`.

    Returns:
        [N] float64, at most 0 and higher is better. It depends on the whole set.

    Raises:
        ValueError: as `rank_sum`.
    """
    names = ("expressivity", "progressivity", "trainability", "complexity")
    given = zip(names, (expressivity, progressivity, trainability, complexity), strict=True)
    return AZ_NAS.score(aligned(dict(given)))


def _complete(columns: tuple[Column, ...]) -> tuple[list[Tensor], Tensor]:
    """The columns [n] of the n rows without NaN, and which rows [N] these are."""
    tensors = aligned({f"column {place}": column for place, column in enumerate(columns)})
    complete = complete_rows(tensors)
    return selected(tensors, complete), complete


def _spread(values: Tensor, complete: Tensor) -> Tensor:
    """Values [n] at the rows that `complete` [N] marks, NaN elsewhere."""
    return torch.full(complete.shape, torch.nan, dtype=torch.float64).masked_scatter(complete, values)
