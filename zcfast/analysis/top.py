"""What the best-scored rows and the most accurate rows have in common.

All take scores [N] and accuracies [N]. Rows with NaN in either are left out; a score of -inf is a real lowest value.
Of equal scores the lower row counts as the better one. The most accurate rows are those of the k highest accuracies,
and all rows that equal the last of them. Errors: ValueError for shapes that differ, columns without real numbers, a
fraction outside (0, 1] and a k below 1.
Source: Abdelfattah et al., "Zero-Cost Proxies for Lightweight NAS", ICLR 2021, section 4 and appendix.
"""

from __future__ import annotations

import math

from torch import Tensor

from zcfast.analysis.columns import (
    Column,
    best_scored,
    check_count,
    check_fraction,
    rows_in,
    scores_and_accuracies,
    within_top,
    within_top_k,
)


def top_fraction_in_top_k(scores: Column, accuracies: Column, fraction: float = 0.05, k: int = 64) -> float:
    """How many of the k best-scored rows are within the `fraction` of the rows with the highest accuracies.

    At most k; all rows are taken where there are fewer, and it is NaN without any. The paper's "top 5 % in top 64".
    """
    check_count(k)
    scores, accuracies = scores_and_accuracies(scores, accuracies)
    return int(within_top(accuracies, fraction)[best_scored(scores, k)].sum()) if len(scores) else math.nan


def precision_at_k(scores: Column, accuracies: Column, k: int, fraction: float = 0.05) -> float:
    """The share, 0 to 1, of the k best-scored rows that are within the most accurate `fraction`; NaN without rows.

    Of all rows where there are fewer than k.
    """
    check_count(k)
    scores, accuracies = scores_and_accuracies(scores, accuracies)
    return _share(within_top(accuracies, fraction), scores, k)


def top_k_overlap(scores: Column, accuracies: Column, k: int) -> float:
    """The share, 0 to 1, of the k best-scored rows that are among the k most accurate; NaN without rows.

    1 where there are no more than k rows.
    """
    check_count(k)
    scores, accuracies = scores_and_accuracies(scores, accuracies)
    return _share(within_top_k(accuracies, k), scores, k)


def top_fraction_overlap(scores: Column, accuracies: Column, fraction: float = 0.1) -> float:
    """`top_k_overlap` with the k nearest to `fraction` of the rows, at least 1: 0.1 is "top 10 % in top 10 %"."""
    check_fraction(fraction)
    scores, accuracies = scores_and_accuracies(scores, accuracies)
    return top_k_overlap(scores, accuracies, rows_in(fraction, len(scores)))


def _share(wanted: Tensor, scores: Tensor, k: int) -> float:
    """The share of the k best-scored rows that `wanted`, bool [N], marks."""
    return float(wanted[best_scored(scores, k)].double().mean()) if len(scores) else math.nan
