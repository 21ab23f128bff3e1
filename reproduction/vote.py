"""How often the paper's vote of three proxies orders a pair of architectures as their accuracies do."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zcfast.analysis import Interval, bootstrap


def pairs_ordered(
    synflow: Tensor, jacob_cov: Tensor, snip: Tensor, accuracies: Tensor, resamples: int = 1000
) -> Interval:
    """The share of the pairs of different accuracy that the vote orders rightly, with its bootstrap interval.

    One is voted better than the other where at least two of the three proxies say so; a pair that is voted neither way
    counts half. This is what the authors' notebook computes under the name of the vote's correlation: there, both
    orders of a pair are tried, and what is not voted better is counted as voted worse.

    Args:
        synflow, jacob_cov, snip, accuracies: [M] each, of the same architectures. Rows with NaN are left out.
        resamples: of the rows; a pair of copies of one row has equal accuracies and is no pair.

    Returns:
        0 to 1; NaN without a pair. Takes M squared bytes and time in M squared times the resamples.
    """
    table = torch.stack([synflow, jacob_cov, snip, accuracies])
    columns = [column.numpy() for column in table[:, ~table.isnan().any(0)]]
    signs = _signs(columns[:3], columns[3])
    groups = np.unique(columns[3], return_inverse=True)[1]

    def share(rows: Tensor) -> float:
        counts = np.bincount(rows.numpy(), minlength=len(groups)).astype(np.float32)
        pairs = float(counts.sum(dtype=np.float64)) ** 2 - float((np.bincount(groups, counts) ** 2).sum())
        agreement = float(counts @ (signs @ counts)) if pairs else 0.0
        return (1 + agreement / pairs) / 2 if pairs else math.nan

    return bootstrap(share, torch.arange(len(groups)), resamples=resamples)


def _signs(proxies: list[NDArray[np.float64]], accuracies: NDArray[np.float64]) -> NDArray[np.float32]:
    """For each pair [M, M]: 1 where the vote orders it as the accuracies do, -1 where the other way, 0 else."""
    size = len(accuracies)
    signs = np.empty((size, size), dtype=np.float32)
    for row in range(size):
        better = sum((column[row] > column).astype(np.int8) for column in proxies)
        worse = sum((column[row] < column).astype(np.int8) for column in proxies)
        vote = (better >= 2).astype(np.int8) - (worse >= 2).astype(np.int8)
        signs[row] = vote * np.sign(accuracies[row] - accuracies)
    return signs
