"""Correlations of scores and accuracies, over all rows and over the most accurate ones.

All take scores [N] and accuracies [N] and return a number from -1 to 1, signs kept: scores that rank backwards have a
negative correlation. Rows with NaN in either are left out. NaN is returned where fewer than two rows are left or where
all scores or all accuracies are equal. Errors: ValueError for shapes that differ and for columns without real numbers.
Source: Abdelfattah et al., "Zero-Cost Proxies for Lightweight NAS", ICLR 2021, section 4.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from zcfast.analysis.columns import Column, codes, scores_and_accuracies, within_top
from zcfast.order import average_ranks

TOP = 0.1  # the paper's share of most accurate rows


def spearman(scores: Column, accuracies: Column) -> float:
    """Spearman's rank correlation; equal values share the average of their ranks, -inf is a real lowest value."""
    scores, accuracies = scores_and_accuracies(scores, accuracies)
    if len(scores) < 2:
        return math.nan
    return _cosine(_centred(average_ranks(scores)), _centred(average_ranks(accuracies)))


def kendall(scores: Column, accuracies: Column) -> float:
    """Kendall's rank correlation tau-b; -inf is a real lowest value.

    Pairs that are ordered alike less those ordered in opposite ways, over the geometric mean of the numbers of pairs
    that differ in score and in accuracy: a pair equal in either counts for neither order. Takes N log N time.
    """
    from scipy.stats import kendalltau

    scores, accuracies = scores_and_accuracies(scores, accuracies)
    if len(scores) < 2:
        return math.nan
    # scipy compares in float64, which holds no integers beyond 2^53.
    exact = [column if column.is_floating_point() else codes(column) for column in (scores, accuracies)]
    return float(kendalltau(*(column.numpy() for column in exact)).statistic)


def pearson(scores: Column, accuracies: Column) -> float:
    """Pearson's linear correlation of the values; NaN also where one of them is infinite."""
    scores, accuracies = scores_and_accuracies(scores, accuracies)
    if len(scores) < 2:
        return math.nan
    return _cosine(_centred(scores), _centred(accuracies))


def spearman_top(scores: Column, accuracies: Column, fraction: float = TOP) -> float:
    """`spearman` over the `fraction` of the rows with the highest accuracies, e.g. 0.1 for the top 10 %.

    Rows as accurate as the last one that belongs to it are in too, so that the order of the rows does not matter.
    Errors: also ValueError for a fraction outside (0, 1].
    """
    return spearman(*_most_accurate(scores, accuracies, fraction))


def kendall_top(scores: Column, accuracies: Column, fraction: float = TOP) -> float:
    """`kendall` over the rows that `spearman_top` takes."""
    return kendall(*_most_accurate(scores, accuracies, fraction))


def pearson_top(scores: Column, accuracies: Column, fraction: float = TOP) -> float:
    """`pearson` over the rows that `spearman_top` takes."""
    return pearson(*_most_accurate(scores, accuracies, fraction))


def _most_accurate(scores: Column, accuracies: Column, fraction: float) -> tuple[Tensor, Tensor]:
    scores, accuracies = scores_and_accuracies(scores, accuracies)
    within = within_top(accuracies, fraction)
    return scores[within], accuracies[within]


def _centred(column: Tensor) -> Tensor:
    """The column less its mean, scaled so that its squares neither overflow nor vanish; zeros where all are equal."""
    column = column.double()
    low, high = float(column.numpy().min()), float(column.numpy().max())
    if low == high:
        return torch.zeros_like(column)
    column = column / max(-low, high)
    return column.sub_(column.mean())


def _cosine(first: Tensor, second: Tensor) -> float:
    pairs = ((first, second), (first, first), (second, second))
    # einsum: no thread is waited for, as BLAS does.
    product, *squares = (float(np.einsum("i,i", left.numpy(), right.numpy())) for left, right in pairs)
    length = math.sqrt(squares[0]) * math.sqrt(squares[1])
    # The length is NaN where a value is infinite.
    return min(1.0, max(-1.0, product / length)) if length > 0 else math.nan
