"""Confidence intervals of any metric, by resampling the rows."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zcfast.analysis.columns import Column, aligned, codes, complete_rows, rows_in, selected
from zcfast.analysis.correlation import TOP, spearman, spearman_top
from zcfast.errors import integer
from zcfast.spaces.neighbours import check_generator

Metric = Callable[..., float | None]
Counts = NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class Interval:
    """A metric and the interval that its resampled values span.

    Attributes:
        estimate: the metric of all rows; NaN where it is undefined.
        low, high: quantiles of the values of the resamples; NaN where none of them is defined.
        confidence: the share of the resamples within the interval, e.g. 0.95.
        resamples: how many were drawn.
        undefined: how many of these had no value (NaN or None) and are left out of the quantiles.
    """

    estimate: float
    low: float
    high: float
    confidence: float
    resamples: int
    undefined: int


def bootstrap(
    metric: Metric,
    *columns: Column,
    resamples: int = 1000,
    confidence: float = 0.95,
    generator: torch.Generator | None = None,
    **options: Any,
) -> Interval:
    """The percentile bootstrap interval of `metric(*columns, **options)`.

    Rows are drawn with replacement, as many as there are without NaN in any column, and stay in their order. The
    interval is from the (1 - confidence) / 2 to the (1 + confidence) / 2 quantile of the values of all resamples.

    A row drawn twice is tied with itself in every column, and about 37 % of the rows are not drawn. What that does:
      - Spearman and Kendall tau-b: a pair of copies is a tie in both columns. tau-b leaves it out; Spearman's shift is
        of the order of 1 / N. Neither matters for a hundred rows or more.
      - counts and shares of top rows: copies are counted as rows of their own, in the k and among the most accurate.
      - best and regret at k: copies take places among the k, so fewer architectures are tried, and no resample has an
        accuracy above the best of all. Their intervals are of one side and too narrow: the bootstrap of a maximum is
        not consistent. Trainings until a target: copies are trained again, until the best: of each resample.
      - means over neighbourhoods, as `bootstrap(mean, local.spearman)`: neighbourhoods that overlap are not
        independent, so the interval is too narrow.
    Where all architectures of a space were scored, the interval says how far a sample of that size could be off.

    Args:
        metric: takes as many columns as are given, as tensors [N], and returns a number or None: any function of
            zcfast.analysis or a user's own.
        columns: [N] each, of the same rows.
        resamples: how many to draw, at least 1. `spearman` and `spearman_top` take about 40 ns a row and resample,
            other metrics what the metric takes.
        confidence: in (0, 1).
        generator: of the draws; by default one seeded with 0, so that equal calls give equal intervals and different
            metrics of the same rows see the same resamples.
        options: passed on to the metric.

    Errors: ValueError for columns that are not one-dimensional, of one length and of real numbers, for `resamples` or
    `confidence` out of range, and those of the metric.
    Source: Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, section 13.3.
    """
    check_generator(generator)
    if integer("resamples", resamples) < 1:
        raise ValueError(f"resamples: expected a number >= 1, got {resamples}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence: expected a number in (0, 1), got {confidence}")
    tensors = aligned({f"column {place}": column for place, column in enumerate(columns)})
    rows = selected(tensors, complete_rows(tensors))
    estimate = _number(metric(*rows, **options))
    if generator is None:
        generator = torch.Generator().manual_seed(0)
    values = _resampled(metric, rows, options, resamples, generator)
    tails = torch.tensor([(1 - confidence) / 2, (1 + confidence) / 2], dtype=torch.float64)
    low, high = values.nanquantile(tails).tolist()
    return Interval(estimate, low, high, confidence, resamples, int(values.isnan().sum()))


def _resampled(
    metric: Metric, rows: list[Tensor], options: dict[str, Any], resamples: int, generator: torch.Generator
) -> Tensor:
    """The metric of each resample, float64 [resamples]; NaN where it is undefined and where there are no rows."""
    size = len(rows[0])
    values = torch.full((resamples,), math.nan, dtype=torch.float64)
    if not size:
        return values
    from_counts = _SORTED_ONCE.get(metric)
    value = from_counts(*rows, **options) if from_counts else None
    for resample in range(resamples):
        counts = np.bincount(torch.randint(size, (size,), generator=generator).numpy(), minlength=size)
        if value:
            values[resample] = value(counts)
        else:
            # numpy: gathers as short as these wait for torch's threads where another process has their cores.
            drawn = (torch.from_numpy(np.repeat(column.numpy(), counts)) for column in rows)
            values[resample] = _number(metric(*drawn, **options))
    return values


def _spearman_top_of_counts(scores: Tensor, accuracies: Tensor, fraction: float = TOP) -> Callable[[Counts], float]:
    """The function from counts [N], how often each row is drawn, to `spearman_top` of those drawn, without a sort."""
    score_codes, accuracy_codes = codes(scores).numpy(), codes(accuracies).numpy()
    wanted = rows_in(fraction, len(scores))

    def value(counts: Counts) -> float:
        weights = counts.astype(np.float64)
        if wanted < len(counts):
            no_less_accurate = np.bincount(accuracy_codes, weights)[::-1].cumsum()[::-1]
            weights *= accuracy_codes >= (no_less_accurate >= wanted).sum() - 1
        first, second = _centred_ranks(score_codes, weights), _centred_ranks(accuracy_codes, weights)
        # einsum: no product is stored, and no thread is waited for.
        products = [np.einsum("i,i,i", weights, *pair) for pair in ((first, second), (first, first), (second, second))]
        length = math.sqrt(products[1] * products[2])
        return float(products[0]) / length if length > 0 else math.nan

    return value


def _spearman_of_counts(scores: Tensor, accuracies: Tensor) -> Callable[[Counts], float]:
    return _spearman_top_of_counts(scores, accuracies, 1.0)


def _centred_ranks(column: Counts, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average ranks [N], less their mean, of codes [N] of which each comes `weights` [N] times."""
    sizes = np.bincount(column, weights)
    ends = sizes.cumsum()
    ranks: NDArray[np.float64] = ends - (sizes - 1) / 2 - (ends[-1] + 1) / 2
    return ranks[column]


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


_SORTED_ONCE: dict[Metric, Callable[..., Callable[[Counts], float]]] = {
    spearman: _spearman_of_counts,
    spearman_top: _spearman_top_of_counts,
}
