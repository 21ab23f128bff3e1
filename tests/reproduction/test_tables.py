import math

import pytest
import scipy.stats
import torch

import zcfast
from reproduction import figures, local, tables
from reproduction.benchmarks import CLOSED, NASBENCH201, SAMPLED
from reproduction.results import Row
from tests.reproduction.shared import CIFAR10, SPACE, accuracies, context, representatives, write_scores


def find(rows, **wanted) -> Row:
    found = [row for row in rows if all(getattr(row, name) == value for name, value in wanted.items())]
    assert len(found) == 1, wanted
    return found[0]


def test_table1_is_scipys_correlation(tmp_path, data):
    run = context(data, tmp_path, sample=60)
    drawn = run.drawn(CIFAR10, 60)
    chosen = representatives(drawn)
    columns = write_scores(tmp_path / "a.parquet", run.protocol(CIFAR10), chosen)
    result = tables.reproduce(context(data, tmp_path, sample=60), "table1")
    known = accuracies()
    closed = zcfast.score_space("nasbench201", list(CLOSED))
    for name in CLOSED:
        row = find(result.rows, benchmark=CIFAR10.title, accuracy=CIFAR10.accuracy, proxy=name)
        assert row.ours == pytest.approx(scipy.stats.spearmanr(closed[name], known).statistic)
        assert row.low < row.ours < row.high
        assert row.rows == len(SPACE)
    place = {row: number for number, row in enumerate(chosen.tolist())}
    classes = SPACE.index(SPACE.canonical(SPACE.enumerate()[drawn])).tolist()
    for name in SAMPLED:
        row = find(result.rows, benchmark=CIFAR10.title, accuracy=CIFAR10.accuracy, proxy=name)
        own = [float(columns[name][place[each]]) for each in classes]
        assert row.ours == pytest.approx(scipy.stats.spearmanr(own, known[drawn]).statistic)
        assert row.rows == 60
        assert row.difference == pytest.approx(row.ours - row.reference.paper)
    assert find(result.rows, accuracy=CIFAR10.accuracy, proxy="synflow").reference.authors == 0.737
    assert math.isnan(find(result.rows, accuracy=CIFAR10.accuracy, proxy="params").published)
    pictures = find(result.rows, accuracy=NASBENCH201[2].accuracy, proxy="snip")
    assert math.isnan(pictures.ours)
    assert "imagenet16_120_sample.npz is not in the data directory" in pictures.note


@pytest.mark.parametrize(
    ("measure", "expected"),
    [
        (tables.SPEARMAN, 1.0),
        (tables.SPEARMAN_TOP, 1.0),
        (tables.OVERLAP, 100.0),
        (tables.TOP_64, 64.0),
    ],
)
def test_a_perfect_score_has_the_highest_number(measure, expected):
    column = torch.arange(1000, dtype=torch.float64)
    interval = measure.interval(column, column, 15_625)
    assert interval.estimate == pytest.approx(expected)


def test_counts_by_hand():
    accuracy = torch.arange(100, dtype=torch.float64)
    score = accuracy.clone()
    score[:8] += 1000  # the eight worst are scored best
    assert tables.OVERLAP.interval(score, accuracy, 100).estimate == pytest.approx(20.0)
    # All of a space of 100: the 64 best-scored are the 8 worst and the 56 best, which hold all of the top 5.
    assert tables.TOP_64.interval(score, accuracy, 100).estimate == pytest.approx(5.0)


def test_local_ranking_is_scipys_within_clusters(monkeypatch, data):
    monkeypatch.setattr(local, "CLUSTERS", 5)
    run = context(data)
    around = local.neighbourhoods(run, CIFAR10, "operations")
    assert around.counts.tolist() == [25] * 5
    assert around.ids[::25].tolist() == run.drawn(CIFAR10, 5).tolist()
    monkeypatch.setattr(local, "NASBENCH101", CIFAR10)
    known, params = accuracies(), zcfast.score_space("nasbench201", ["params"])["params"]
    expected = [scipy.stats.spearmanr(params[ids], known[ids]).statistic for ids in around.ids.split(25)]
    rows = local.reproduce(run, "table5").rows
    for row in (row for row in rows if row.benchmark == CIFAR10.title and row.proxy == "params"):
        assert row.ours == pytest.approx(sum(expected) / 5)
    best = [known[ids][params[ids] == params[ids].max()] == known[ids].max() for ids in around.ids.split(25)]
    rows = local.reproduce(run, "table13").rows
    for row in (row for row in rows if row.benchmark == CIFAR10.title and row.proxy == "params"):
        assert row.ours == pytest.approx(100 * sum(float(each.double().mean()) for each in best) / 5)
    assert find(rows, benchmark="NAS-Bench-ASR").note


def test_figure2_says_what_is_missing(data):
    rows = figures.figure2(context(data)).rows
    econas = find(rows, proxy="econas")
    assert econas.reference.paper == 0.61
    assert "training" in econas.note
    short = find(rows, benchmark=CIFAR10.title, proxy="accuracy after 12 epochs")
    assert short.note == "the table of accuracies has no ep12_valid_cifar10"


def test_figure3_has_the_authors_means(data):
    row = find(figures.figure3(context(data)).rows, benchmark="pytorchcv svhn", proxy="synflow")
    assert row.reference.authors == pytest.approx((0.821 + 0.83 + 0.823 + 0.833 + 0.824 + 0.826) / 6)
    assert math.isnan(row.ours)
