"""What a search that trains architectures from the best score downwards reaches, and after how many trainings.

All take scores [N] and accuracies [N]. Rows with NaN in either are left out: they are never trained. Of equal scores
the lower row is trained first; a score of -inf is a real lowest value. Errors: ValueError for shapes that differ,
columns without real numbers and a k below 1.
Source: Abdelfattah et al., "Zero-Cost Proxies for Lightweight NAS", ICLR 2021, section 5.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from zcfast.analysis.columns import Column, best_scored, check_count, scores_and_accuracies
from zcfast.order import best_first


def best_at_k(scores: Column, accuracies: Column, k: int) -> float:
    """The highest accuracy among the k best-scored rows, in the unit of the accuracies; NaN without rows.

    Of all rows where there are fewer than k.
    """
    check_count(k)
    scores, accuracies = scores_and_accuracies(scores, accuracies)
    return float(accuracies[best_scored(scores, k)].max()) if len(scores) else math.nan


def regret_at_k(scores: Column, accuracies: Column, k: int) -> float:
    """How far `best_at_k` is below the highest accuracy of all rows, >= 0, in their unit; NaN without rows."""
    scores, accuracies = scores_and_accuracies(scores, accuracies)
    best = best_at_k(scores, accuracies, k)
    return float(accuracies.max()) - best if len(scores) else math.nan


def trainings_until(scores: Column, accuracies: Column, target: float) -> int | None:
    """How many architectures are trained until one has an accuracy of `target` or more, that one included.

    From 1 to N; None where no row reaches the target. Errors: also ValueError for a target of NaN.
    """
    if math.isnan(target):
        raise ValueError("target: expected an accuracy, got nan")
    scores, accuracies = scores_and_accuracies(scores, accuracies)
    return _trainings(scores, accuracies.double() >= target)


def trainings_until_best(scores: Column, accuracies: Column) -> int | None:
    """`trainings_until` the highest accuracy of all rows; None without rows."""
    scores, accuracies = scores_and_accuracies(scores, accuracies)
    return _trainings(scores, accuracies == accuracies.max()) if len(scores) else None


def random_trainings_until(accuracies: Column, target: float) -> float | None:
    """The mean of `trainings_until` over all orders of the rows: what a random search needs.

    (n + 1) / (m + 1) for m of n rows that reach the target; None where no row does. Errors: as `trainings_until`.
    """
    if math.isnan(target):
        raise ValueError("target: expected an accuracy, got nan")
    accuracies, _ = scores_and_accuracies(accuracies, accuracies)
    reached = int((accuracies.double() >= target).sum())
    return (len(accuracies) + 1) / (reached + 1) if reached else None


def improvements(scores: Column, accuracies: Column) -> tuple[Tensor, Tensor]:
    """All of `best_at_k`, as the steps of its curve.

    Returns:
        After how many trainings the highest accuracy so far rises, int64 [S] from 1 upwards, and to what, float64 [S];
        empty without rows.
    """
    scores, accuracies = scores_and_accuracies(scores, accuracies)
    trained = accuracies[best_first(scores)].double().numpy()
    best = np.maximum.accumulate(trained)
    steps = np.flatnonzero(np.diff(best, prepend=-np.inf))
    return torch.from_numpy(steps + 1), torch.from_numpy(best[steps])


def _trainings(scores: Tensor, wanted: Tensor) -> int | None:
    """The place, from 1, of the first row that `wanted`, bool [N], marks."""
    places = wanted.numpy()[best_first(scores).numpy()].nonzero()[0]
    return int(places[0]) + 1 if len(places) else None
