"""The analysis of a whole benchmark, and its parts beside what they replace.

Kendall's tau-b of 423,624 values is to take under a second and every metric of NAS-Bench-101 for one score, without
intervals, under five.
"""

import numpy as np
import pytest
import torch
from scipy import stats

import zcfast
from bench.timing import measured
from zcfast import analysis
from zcfast.scores import Scores
from zcfast.tables import Metric, Table

SIZE = 423_624
NEIGHBOURS = 26  # the paper's average in NAS-Bench-101


@pytest.fixture(scope="module")
def columns():
    """Scores of some 8,000 different values, so with many ties, and accuracies."""
    generator = torch.Generator().manual_seed(0)
    scores, noise = torch.randn(2, SIZE, generator=generator, dtype=torch.float64)
    return (scores * 1000).round(), scores + noise


@pytest.fixture(scope="module")
def neighbours():
    ids = torch.randint(SIZE, (SIZE * NEIGHBOURS,), generator=torch.Generator().manual_seed(1))
    return torch.arange(0, len(ids) + 1, NEIGHBOURS), ids


@pytest.mark.benchmark(group="correlation of 423,624 values")
@pytest.mark.parametrize("metric", [analysis.spearman, analysis.kendall, analysis.pearson])
def test_correlation(benchmark, columns, metric):
    benchmark.pedantic(metric, columns, rounds=5, warmup_rounds=1)
    assert measured(benchmark).median < 1


@pytest.mark.benchmark(group="every metric of NAS-Bench-101 for one score")
def test_summary(benchmark, columns, neighbours):
    cells = zcfast.space("nasbench101").enumerate()
    scores = Scores("nasbench101", cells, {"score": columns[0]})
    metric = Metric(columns[1][None].double(), "cifar10", "test", 108, "fraction")
    table = Table(
        "nasbench101",
        {"test": metric},
        ("test",),
        "drawn",
    )
    benchmark.pedantic(analysis.summary, (scores, table), {"neighbours": neighbours}, rounds=3, warmup_rounds=1)
    assert measured(benchmark).median < 5


@pytest.mark.benchmark(group="bootstrap of Spearman, 423,624 values, 10 resamples")
def test_bootstrap(benchmark, columns):
    benchmark.pedantic(analysis.bootstrap, (analysis.spearman, *columns), {"resamples": 10}, rounds=3, warmup_rounds=1)


@pytest.mark.benchmark(group="bootstrap of Spearman, 423,624 values, 10 resamples")
def test_bootstrap_that_sorts_every_resample(benchmark, columns):
    scores, accuracies = (column.numpy() for column in columns)
    generator = np.random.default_rng(0)

    def run():
        for _ in range(10):
            rows = generator.integers(SIZE, size=SIZE)
            stats.spearmanr(scores[rows], accuracies[rows])

    benchmark.pedantic(run, rounds=3)


@pytest.mark.benchmark(group="Spearman in 1,000 neighbourhoods of 26")
def test_neighbourhoods(benchmark, columns, neighbours):
    offsets, ids = neighbours[0][:1001], neighbours[1][: 1000 * NEIGHBOURS]
    benchmark.pedantic(analysis.local_ranking, (*columns, offsets, ids), rounds=5, warmup_rounds=1)


@pytest.mark.benchmark(group="Spearman in 1,000 neighbourhoods of 26")
def test_neighbourhoods_one_after_another(benchmark, columns, neighbours):
    scores, accuracies = (column.numpy() for column in columns)
    groups = neighbours[1][: 1000 * NEIGHBOURS].reshape(-1, NEIGHBOURS).numpy()

    def run():
        return np.mean([stats.spearmanr(scores[rows], accuracies[rows]).statistic for rows in groups])

    benchmark.pedantic(run, rounds=3)
