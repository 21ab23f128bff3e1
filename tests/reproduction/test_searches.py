import csv
import dataclasses
import math
from functools import partial

import pytest
import torch
from pyarrow import parquet

from reproduction import chosen, searches
from reproduction.search_output import blocks
from reproduction.search_results import SearchRow, accuracy_rows, median_interval, target_row
from tests.reproduction.shared import context
from zcfast import search

TARGETS = ("table3", "figure4")
ROW = SearchRow("space", "valid", "test", "random_search", 4, 3)


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(searches, "RUNS", 3)
    monkeypatch.setattr(searches, "BUDGET", 50)
    monkeypatch.setattr(searches, "SLOW", {"binary_predictor": (2, 11), "regressor": (2, 11)})
    monkeypatch.setattr(searches, "WARM", 100)
    monkeypatch.setattr(searches, "paper_algorithms", small_paper_algorithms)
    monkeypatch.setattr(searches, "regressor", partial(search.regressor, first=5, candidates=50))


def small_paper_algorithms(scores, warm):
    """The predictor takes seconds at its own size."""
    size = {"steps": 2, "hidden": 4, "candidates": 20}
    named = search.paper_algorithms(scores, warm)
    return {
        name: dataclasses.replace(each, **size) if each.name == "binary_predictor" else each
        for name, each in named.items()
    }


def trajectory(values):
    values = torch.tensor(values, dtype=torch.float64)
    return search.Trajectory("nasbench201", torch.zeros(values.shape, dtype=torch.int64), values, values)


@pytest.mark.slow
def test_the_numbers_are_those_of_runs(monkeypatch, data):
    monkeypatch.setitem(searches.TABLES, "table7", ("Title", (searches.CIFAR100,), "Reading."))
    made = context(data, seed=3)
    rows = searches.table(made, "table7").rows
    setting, accuracies = searches.CIFAR100, made.table(searches.CIFAR100.benchmark)
    scores = made.closed_forms(setting.benchmark)["expected_synflow"]
    for name, algorithm in small_paper_algorithms(scores, 100).items():
        slow = name.startswith("binary_predictor")
        alone = search.run(
            algorithm,
            "nasbench201",
            accuracies,
            runs=2 if slow else 3,
            budget=11 if slow else 50,
            seed=3,
            objective="valid_cifar100",
            report="test_cifar100",
        )
        (row,) = [row for row in rows if (row.benchmark, row.algorithm, row.trainings) == (setting.title, name, 10)]
        assert row.median == alone.median[9]
        assert row.worst == alone.best_so_far[:, 9].min()
        assert (row.runs, row.budget) == alone.rows.shape
        assert row.note == ""
    assert {row.algorithm for row in rows if "regressor" in row.algorithm} == {
        "regressor (not the paper's)",
        "regressor + warm-up (not the paper's)",
    }


@pytest.mark.slow
def test_a_draw_of_training_runs_chooses_and_the_mean_is_shown(data):
    made = context(data)
    trajectories, reason = searches.trajectories(made, searches.CIFAR10_DRAWN, own=False)
    assert reason == ""
    accuracies = made.table(searches.CIFAR10_DRAWN.benchmark)
    single = accuracies.metrics["seeds_test_cifar10"].values.double()
    for each in trajectories.values():
        assert torch.equal(each.report, accuracies["test_cifar10"][each.rows])
        assert (each.objective == single[:, each.rows]).any(0).all()


@pytest.mark.slow
def test_searches_are_kept_and_read_again(tmp_path, monkeypatch, data, capsys):
    first = searches.figure(context(data, new_scores=tmp_path), "figure4")
    files = sorted(path.name for path in tmp_path.iterdir())
    assert len(files) == 10
    with monkeypatch.context() as patch:
        patch.setattr("reproduction.trajectories.run", None)  # whoever runs it fails
        assert searches.figure(context(data, new_scores=tmp_path), "figure4") == first
    searches.figure(context(data, new_scores=tmp_path, seed=1), "figure4")
    assert len(list(tmp_path.iterdir())) == 20  # another seed is another search
    (tmp_path / files[0]).write_bytes(b"PAR1")
    (tmp_path / files[1]).write_bytes((tmp_path / files[2]).read_bytes())
    capsys.readouterr()
    assert searches.figure(context(data, new_scores=tmp_path), "figure4") == first
    said = capsys.readouterr().err
    assert f"{files[0]}: not used ({tmp_path / files[0]}: expected a Parquet file of trajectories" in said
    assert f"{files[1]}: not used (expected the search {files[1][7:-11]}, got {files[2][7:-11]})" in said
    assert {f"{name}.1.aside" for name in files[:2]} < {path.name for path in tmp_path.iterdir()}


def test_a_table_without_the_metric_says_so(monkeypatch, data):
    setting = dataclasses.replace(searches.CIFAR100, objective="valid_other")
    monkeypatch.setitem(searches.FIGURES, "figure4", ("Title", setting, "Reading."))
    (row,) = searches.figure(context(data), "figure4").rows
    assert row.note == "the table of accuracies has no valid_other"


@pytest.mark.slow
def test_what_is_printed_and_written(run, tmp_path, data):
    out = tmp_path / "o"
    status, text, err = run(*TARGETS, "--data", str(data), "--out", str(out))
    assert (status, err) == (0, "")
    written = {path.name for path in out.iterdir() if path.is_file()}
    assert written == {f"{name}.{ending}" for name in TARGETS for ending in ("csv", "md", "parquet", "png")}
    for name in TARGETS:
        rows = parquet.read_table(out / f"{name}.parquet").to_pylist()
        with (out / f"{name}.csv").open() as file:
            texts = list(csv.DictReader(file))
        assert [float(each["median"] or "nan") for each in texts] == pytest.approx(
            [math.nan if row["median"] is None else row["median"] for row in rows], nan_ok=True
        )
        assert (out / f"{name}.png").read_bytes()[:4] == b"\x89PNG"
        assert "caption was not seen" in text or "README shows" in text
    evolution = [
        row
        for row in parquet.read_table(out / "table3.parquet").to_pylist()
        if row["algorithm"] == "ageing_evolution + warm-up 15,000" and row["target"] == 0.9422
    ]
    assert [row["paper"] for row in evolution] == [50]
    assert evolution[0]["source"].startswith("paper: https://github.com/SamsungLabs/zero-cost-nas/issues/8")
    assert "| ageing_evolution + warm-up 15,000 | 3 | 50 |" in (out / "table3.md").read_text()


def test_every_search_of_the_paper_has_a_target():
    assert {*searches.TABLES, *searches.FIGURES} == set(chosen(["figure8", "figure7", *TARGETS, "table7", "figure5"]))


def test_trainings_to_a_target():
    row = target_row(ROW, trajectory([[1.0, 5, 5], [1, 2, 3], [5, 5, 5], [1, 1, 1]]), 5)
    assert (row.reached, row.best, row.lower_quartile, row.median, row.target) == (2, 1, 1, 2, 5)
    assert math.isnan(row.upper_quartile)
    assert math.isnan(row.worst)


def test_accuracies_after_trainings_within_the_budget():
    rows = accuracy_rows(ROW, trajectory([[1.0, 5, 5], [1, 2, 3], [5, 5, 5], [1, 1, 1]]), [1, 3, 10])
    assert [(row.trainings, row.worst, row.median, row.best) for row in rows] == [(1, 1, 1, 5), (3, 1, 4, 5)]


@pytest.mark.parametrize(("runs", "places"), [(3, (0, 2)), (6, (0, 5)), (16, (3, 12)), (100, (39, 60))])
def test_the_interval_of_a_median_has_binomial_places(runs, places):
    values = torch.arange(runs, dtype=torch.float64)
    assert median_interval(values) == places
    values[-1] = math.nan  # a run that never reaches the target
    low, high = median_interval(values)
    assert low == places[0]
    assert math.isnan(high) == (places[1] == runs - 1)


def test_never_is_a_word():
    rows = [target_row(ROW, trajectory([[1.0, 1], [1, 5], [1, 1]]), 5)]
    result = searches.SearchResult("table3", "Title", rows)
    (block,) = blocks(result)
    assert block.lines == [["random_search", "3", "3", "1", "never", "2 to never", "never", "2 to never", "n/a", "n/a"]]
