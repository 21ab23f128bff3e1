import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings

from tests.analysis.shared import FEW_VALUES, columns
from zcfast.analysis import (
    best_at_k,
    bootstrap,
    kendall,
    pearson,
    spearman,
    spearman_top,
    top_fraction_in_top_k,
    trainings_until,
)


def normal_pair(size, correlation, seed):
    first, other = torch.randn(2, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return first, correlation * first + math.sqrt(1 - correlation**2) * other


def slow_interval(metric, columns, resamples, **options):
    """The same draws, with the metric itself on every resample."""
    rows = ~torch.stack(columns).isnan().any(0)
    columns, size = [column[rows] for column in columns], int(rows.sum())
    generator = torch.Generator().manual_seed(0)
    draws = [torch.randint(size, (size,), generator=generator).sort().values for _ in range(resamples)]
    values = np.array([metric(*(column[drawn] for column in columns), **options) for drawn in draws], dtype=float)
    defined = values[~np.isnan(values)]
    quantiles = np.quantile(defined, [0.025, 0.975]) if len(defined) else [math.nan] * 2
    return [*quantiles, resamples - len(defined)]


@settings(deadline=None, max_examples=40)
@given(columns(scores=FEW_VALUES, min_size=1))
def test_without_sorts_it_is_the_metric_of_each_resample(drawn):
    for metric, options in ((spearman, {}), (spearman_top, {}), (spearman_top, {"fraction": 0.5})):
        if not bool((~drawn[1].isnan()).any()):
            return
        interval = bootstrap(metric, *drawn, resamples=20, **options)
        expected = slow_interval(metric, list(drawn), 20, **options)
        assert [interval.low, interval.high, interval.undefined] == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_any_metric():
    scores, accuracies = normal_pair(80, 0.7, seed=1)
    for metric, options in ((kendall, {}), (pearson, {}), (top_fraction_in_top_k, {"fraction": 0.2, "k": 10})):
        interval = bootstrap(metric, scores, accuracies, resamples=30, **options)
        assert interval.estimate == metric(scores, accuracies, **options)
        assert [interval.low, interval.high, interval.undefined] == pytest.approx(
            slow_interval(metric, [scores, accuracies], 30, **options)
        )
        assert interval.low < interval.estimate < interval.high


@pytest.mark.parametrize("metric", [spearman, kendall, pearson])
@pytest.mark.statistics
def test_coverage_of_a_known_correlation(metric):
    truth = {
        spearman: 6 / math.pi * math.asin(0.3),
        kendall: 2 / math.pi * math.asin(0.6),
        pearson: 0.6,
    }[metric]
    intervals = [bootstrap(metric, *normal_pair(60, 0.6, seed), resamples=80, confidence=0.9) for seed in range(60)]
    covered = sum(interval.low <= truth <= interval.high for interval in intervals)
    # 54 expected, with a standard deviation of 2.3.
    assert 44 <= covered <= 59


def test_interval_of_a_mean():
    values = torch.randn(400, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    values[7] = math.nan
    interval = bootstrap(lambda column: float(column.mean()), values, resamples=500)
    error = float(values[~values.isnan()].std()) / math.sqrt(399)
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * error, rel=0.15)
    assert interval.low < interval.estimate < interval.high


def test_no_resample_is_better_than_the_best():
    scores, accuracies = normal_pair(100, 0.9, seed=2)
    interval = bootstrap(best_at_k, scores, accuracies, k=20, resamples=50)
    assert interval.high <= float(accuracies.max()) == interval.estimate


def test_undefined_values_are_counted_and_left_out():
    accuracies = torch.tensor([0.1, 0.2, 0.3])
    interval = bootstrap(trainings_until, accuracies, accuracies, target=0.3, resamples=200)
    assert interval.estimate == 1
    assert interval.undefined == pytest.approx(200 * (2 / 3) ** 3, abs=25)
    never = bootstrap(trainings_until, accuracies, accuracies, target=0.5, resamples=5)
    assert never.undefined == 5
    assert all(map(math.isnan, (never.estimate, never.low, never.high)))


def test_no_rows():
    interval = bootstrap(spearman, torch.zeros(0), torch.zeros(0), resamples=3)
    assert (interval.undefined, interval.resamples) == (3, 3)
    assert math.isnan(interval.low)


def test_generator():
    columns = normal_pair(50, 0.5, seed=0)
    default = bootstrap(spearman, *columns, resamples=20)
    assert bootstrap(spearman, *columns, resamples=20) == default
    seeded = [bootstrap(spearman, *columns, resamples=20, generator=torch.Generator().manual_seed(s)) for s in (0, 1)]
    assert seeded[0] == default
    assert seeded[1] != default


def test_errors():
    rows = torch.arange(4.0)
    with pytest.raises(ValueError, match="resamples: expected a number >= 1, got 0"):
        bootstrap(spearman, rows, rows, resamples=0)
    for confidence in (0.0, 1.0, math.nan):
        with pytest.raises(ValueError, match="confidence: expected a number in"):
            bootstrap(spearman, rows, rows, confidence=confidence)
    with pytest.raises(ValueError, match="generator: expected Generator, got int"):
        bootstrap(spearman, rows, rows, generator=0)
    with pytest.raises(ValueError, match="columns: expected one or more, got none"):
        bootstrap(spearman)
    with pytest.raises(ValueError, match="fraction: expected a number"):
        bootstrap(spearman_top, rows, rows, fraction=2.0)
