"""How far the best picks of a score are below the best there is, also under limits.

Ties are drawn at random: each number is the mean over all orders of equally scored rows, computed and not sampled.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from zcfast.analysis.columns import Column, aligned, check_count, scores_and_accuracies

Rule: TypeAlias = Callable[[Tensor], Column]  # rows, int64 [n], of what is within a limit -> their scores [n]
Limit: TypeAlias = tuple[Column, float]  # values [N] and the highest that is allowed


@dataclass(frozen=True, eq=False)
class Regret:
    """What picking by a score loses, in the unit of the accuracies.

    Attributes:
        picks: how many of the best-scored rows are tried, K numbers.
        each: float64 [L, K], >= 0: under each limit, how far the best of so many picks is expected to be below the best
            row within the limit; NaN where no row is.
        rows: int64 [L], how many rows are within each limit.
    """

    picks: tuple[int, ...]
    each: Tensor
    rows: Tensor

    @property
    def mean(self) -> Tensor:
        """The mean over the limits, float64 [K]."""
        return self.each.mean(0)


def regret(scores: Column, accuracies: Column, limits: Sequence[Limit] = (), picks: Sequence[int] = (1, 10)) -> Regret:
    """The regret of the first pick and of the best of ten, without a limit or under each of several.

    Args:
        scores: [N], higher is better; or a function of rows, int64 [n], that gives their scores [n], for what ranks
            among the rows within a limit as ``path_rank`` does.
        accuracies: [N], higher is better.
        limits: values [N], of latency for instance, and the highest allowed; each limit holds alone. None: no limit.
        picks: how many of the best-scored rows are tried, each number by itself. All rows where there are fewer.

    Returns:
        The regrets. Rows with NaN in scores, accuracies or a limit's values are left out under it; -inf is a real
        lowest score. The k picks are those with the highest scores. Where more rows than are left to pick share the
        lowest of these scores, each choice among them is equally likely.

    Raises:
        ValueError: columns that are not one-dimensional, of one length and of real numbers; a limit of NaN; no picks.
    """
    (known,) = aligned({"accuracies": accuracies})
    if not picks:
        raise ValueError("picks: expected one or more numbers of rows, got none")
    for k in picks:
        check_count(k)
    within = [_within(known, *limit) for limit in limits] if limits else [~known.double().isnan()]
    rule = scores if callable(scores) else _by_row(scores, known)
    each, counts = [], []
    for rows in (mask.nonzero()[:, 0] for mask in within):
        found, reached = scores_and_accuracies(rule(rows), known[rows])
        each.append([_expected(found, reached.double(), k) for k in picks])
        counts.append(len(found))
    return Regret(tuple(picks), torch.tensor(each, dtype=torch.float64), torch.tensor(counts))


def _by_row(scores: Column, accuracies: Tensor) -> Rule:
    column, _ = aligned({"scores": scores, "accuracies": accuracies})
    return lambda rows: column[rows]


def _within(accuracies: Tensor, values: Column, highest: float) -> Tensor:
    """Which rows have an accuracy and a value up to the limit, bool [N]."""
    if math.isnan(highest):
        raise ValueError("limits: expected a number as the highest value, got nan")
    accuracies, column = aligned({"accuracies": accuracies, "values of a limit": values})
    return ~accuracies.double().isnan() & (column <= highest)


def _expected(scores: Tensor, accuracies: Tensor, k: int) -> float:
    """The regret of the best of k picks, float64 accuracies [n]."""
    if not len(scores):
        return math.nan
    best = accuracies.max()
    k = min(k, len(scores))
    lowest = scores.kthvalue(len(scores) - k + 1).values  # of those picked
    sure, tied = accuracies[scores > lowest], accuracies[scores == lowest].sort().values
    reached = tied if not len(sure) else tied.clamp(min=sure.max())
    return float((_chances(len(tied), k - len(sure)) * (best - reached)).sum())


def _chances(n: int, k: int) -> Tensor:
    """How likely each of n sorted numbers is the largest of k drawn without replacement, 1 <= k <= n; float64 [n].

    The j-th smallest: C(j - 1, k - 1) / C(n, k), by the ratio of each to the next, which no size overflows.
    """
    upper = torch.arange(n, 1, -1, dtype=torch.float64)  # j, whose neighbour j - 1 is less likely by this ratio
    ratios = ((upper - k) / (upper - 1)).clamp(min=0)
    return torch.cat([torch.ones(1, dtype=torch.float64), ratios]).cumprod(0).flip(0) * (k / n)
