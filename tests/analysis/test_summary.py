import math

import pytest
import torch

import zcfast
from zcfast import analysis, report
from zcfast.scores import Scores
from zcfast.tables import Metric, Table

SPACE = zcfast.space("nasbench201")
ROWS = torch.arange(0, len(SPACE), 50)


@pytest.fixture(scope="module")
def table():
    generator = torch.Generator().manual_seed(0)
    metrics = {name: torch.rand(len(SPACE), generator=generator, dtype=torch.float64) for name in ("test", "valid")}
    metrics["test"][ROWS[3]] = math.nan
    drawn = {name: Metric(values[None], "cifar10", name, 200, "fraction") for name, values in metrics.items()}
    return Table("nasbench201", drawn, ("test",), "drawn")


@pytest.fixture(scope="module")
def scores(table):
    generator = torch.Generator().manual_seed(1)
    noise = torch.rand(len(ROWS), generator=generator, dtype=torch.float64)
    columns = {"good": table["valid"][ROWS] + noise, "bad": -table["valid"][ROWS] - noise}
    return Scores("nasbench201", SPACE.enumerate()[ROWS], columns)


def neighbours(size):
    return torch.arange(0, size * 5 + 1, 5), torch.arange(size * 5) % size


def test_one_row_for_each_metric_and_column(scores, table):
    result = analysis.summary(scores, table, metrics=("test", "valid"), neighbours=neighbours(len(ROWS)))
    rows = result.to_pylist()
    names = [(row["metric"], row["score"]) for row in rows]
    assert names == [("test", "good"), ("test", "bad"), ("valid", "good"), ("valid", "bad")]
    assert [row["rows"] for row in rows] == [len(ROWS) - 1] * 2 + [len(ROWS)] * 2
    for row in rows:
        column, accuracies = scores[row["score"]], table[row["metric"]][ROWS]
        assert row["spearman"] == analysis.spearman(column, accuracies)
        assert row["kendall_top_10_percent"] == analysis.kendall_top(column, accuracies, 0.1)
        assert row["top_5_percent_in_top_64"] == analysis.top_fraction_in_top_k(column, accuracies)
        assert row["regret_at_10"] == analysis.regret_at_k(column, accuracies, 10)
        assert row["trainings_until_best"] == analysis.trainings_until_best(column, accuracies)
        local = analysis.local_ranking(column, accuracies, *neighbours(len(ROWS)))
        assert row["local_spearman"] == pytest.approx(local.mean_spearman)
        assert row["local_best_picked"] == pytest.approx(local.mean_best_picked)
    assert rows[2]["spearman"] > 0.5 > -0.5 > rows[3]["spearman"]


def test_the_headline_without_neighbours_by_default(scores, table):
    result = analysis.summary(scores, table)
    assert set(result["metric"].to_pylist()) == {"test"}
    assert not any(name.startswith("local_") or name.endswith("_low") for name in result.column_names)


def test_intervals(scores, table):
    result = analysis.summary(scores, table, neighbours=neighbours(len(ROWS)), resamples=10, confidence=0.8).to_pylist()
    accuracies = table["test"][ROWS]
    expected = analysis.bootstrap(analysis.spearman, scores["good"], accuracies, resamples=10, confidence=0.8)
    assert (result[0]["spearman_low"], result[0]["spearman_high"]) == (expected.low, expected.high)
    for name in ("pearson", "precision_at_10", "trainings_until_best", "local_spearman", "local_best_picked"):
        assert result[0][f"{name}_low"] <= result[0][f"{name}_high"]


def test_undefined_values_are_null(table):
    scores = Scores("nasbench201", SPACE.enumerate()[:0], {"none": torch.zeros(0)})
    (row,) = analysis.summary(scores, table, resamples=2).to_pylist()
    assert row["rows"] == 0
    assert row["top_5_percent_in_top_64"] is None
    assert row["spearman"] is row["trainings_until_best"] is row["kendall_low"] is None


def test_errors(scores, table):
    with pytest.raises(ValueError, match="unknown metric 'tset': did you mean test"):
        analysis.summary(scores, table, metrics=("tset",))
    with pytest.raises(ValueError, match="resamples: expected a number >= 0, got -1"):
        analysis.summary(scores, table, resamples=-1)
    with pytest.raises(ValueError, match="metrics: expected a list of names, got the string 'test'"):
        analysis.summary(scores, table, metrics="test")
    message = r"neighbours: expected offsets and ids, such as \(graph.offsets, graph.ids\), got Neighbours"
    with pytest.raises(ValueError, match=message):
        analysis.summary(scores, table, neighbours=SPACE.neighbours(SPACE.enumerate()[:3]))
    for function in (analysis.summary, report.html):
        with pytest.raises(ValueError, match="scores: expected Scores, got Table"):
            function(table, scores)
        with pytest.raises(ValueError, match="table: expected Table, got NoneType"):
            function(scores, None)
    with pytest.raises(ValueError, match="unknown column 0: expected one of good, bad"):
        scores[0]
    with pytest.raises(ValueError, match=r"k: expected an integer, got 2\.5"):
        scores.top(2.5, "good")
    other = Table("nasbench101", {}, (), "none")
    with pytest.raises(ValueError, match="table: expected accuracies of nasbench201, got nasbench101"):
        analysis.summary(scores, other)
