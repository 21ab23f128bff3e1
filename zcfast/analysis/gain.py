"""How much of what the most accurate rows have to give the best-scored rows give."""

from __future__ import annotations

import math

import torch

from zcfast.analysis.columns import Column, check_count, codes, scores_and_accuracies


def ndcg(scores: Column, accuracies: Column, k: int = 1000) -> float:
    """The normalised discounted cumulative gain of the k best-scored rows, at most 1 and higher is better.

    Args:
        scores: [N], higher is better.
        accuracies: [N] in percent: the gain of a row is 2^accuracy - 1, so that one point less is half of it.
        k: how many rows count, the j-th by 1 / log2(j + 1); all where there are fewer.

    Returns:
        The sum of the best-scored rows' gains by that of the k most accurate ones. Of rows with one score each takes
        the mean of their gains, so that their order does not matter. NaN without rows, and where the best gain nothing.

    Raises:
        ValueError: k is below 1, or columns that are not one-dimensional, of one length and of real numbers.

    Source: Tybl and Neumann, "Training-free Neural Architecture Search through Variance of Knowledge of Deep Network
    Weights", CVPR 2025 (VKDNW).
    """
    check_count(k)
    scores, accuracies = scores_and_accuracies(scores, accuracies)
    if not len(scores):
        return math.nan
    accuracies = accuracies.double()
    best = accuracies.max()
    gains = torch.exp2(accuracies - best) - torch.exp2(-best)  # by 2^best, which may exceed float64
    discounts = 1 / torch.log2(torch.arange(2, len(gains) + 2, dtype=torch.float64))
    discounts[k:] = 0
    order = scores.argsort(descending=True, stable=True)
    groups = codes(-scores[order])
    sizes = groups.bincount()
    means = torch.zeros(len(sizes), dtype=torch.float64).index_add(0, groups, gains[order]) / sizes
    ideal = (gains.sort(descending=True).values * discounts).sum()
    return float((means[groups] * discounts).sum() / ideal) if ideal > 0 else math.nan
