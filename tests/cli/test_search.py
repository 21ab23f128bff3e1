from pathlib import Path

import pytest
import torch

import zcfast
from zcfast import search
from zcfast.scores import Scores
from zcfast.tables import Metric, Table
from zcfast.testing.algorithm import drawn_accuracies, drawn_scores


@pytest.fixture(autouse=True)
def table(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    accuracies = drawn_accuracies("nasbench201")
    metrics = {
        "valid": Metric(accuracies[None], "", "valid", None, "percent"),
        "test": Metric((accuracies + 1)[None], "", "test", None, "percent"),
        "empty": Metric(torch.full((1, 15_625), torch.nan), "", "test", None, "percent"),
    }
    table = Table("nasbench201", metrics, ("valid",), "drawn")
    table.save("table.parquet")
    return table


RANDOM = ("--algorithm", "random_search")
SEARCH = ("search", "nasbench201", "--table", "table.parquet", "--out", "t.parquet", "--runs", "4", "--budget", "80")


def shown_trainings(out: str) -> list[str]:
    return [line.split()[1] for line in out.splitlines() if line.startswith("│ ")]


def test_writes_the_trajectories_and_prints_the_quartiles(run, table):
    options = ("--objective", "valid", "--report", "test", "--seed", "3", "--target", "100.5")
    status, out, err = run(*SEARCH, "--algorithm", "ageing_evolution", *options)
    assert (status, err) == (0, "")
    trajectory = search.Trajectory.load("t.parquet")
    expected = search.run(
        search.ageing_evolution(), "nasbench201", table, budget=80, runs=4, objective="valid", report="test", seed=3
    )
    assert torch.equal(trajectory.rows, expected.rows)
    assert trajectory.provenance == expected.provenance
    row = next(line for line in out.splitlines() if line.startswith("│        80"))
    values = expected.quantiles(0, 0.25, 0.5, 0.75, 1)[:, -1].tolist()
    assert row.replace("│", " ").split() == ["80", *(f"{value:.5g}" for value in values)]
    assert shown_trainings(out) == ["1", "2", "5", "10", "20", "50", "80"]
    assert out.startswith("test of the best by valid so far, 4 runs")
    reached = int((~expected.trainings_to(100.5).isnan()).sum())
    assert f"100.5 reached by {reached} of 4 runs within 80 trainings" in out
    assert out.rstrip().endswith("written to t.parquet")


def test_a_target_that_is_never_reached(run):
    status, out, _ = run(*SEARCH, "--algorithm", "random_search", "--target", "101")
    assert status == 0
    assert "101 reached by 0 of 4 runs within 80 trainings\n" in out


def test_proxies_in_closed_form_and_from_a_file(run, table):
    space = zcfast.space("nasbench201")
    params = zcfast.score_space(space, ["params"])["params"]
    run(*SEARCH, "--algorithm", "ageing_evolution", "--proxy", "params", "--warmup", "500", "--move-proposal")
    algorithm = search.move_proposal(search.warmup(search.ageing_evolution(), params, 500), params)
    expected = search.run(algorithm, space, table, budget=80, runs=4)
    assert torch.equal(search.Trajectory.load("t.parquet").rows, expected.rows)
    column, rows = drawn_scores("nasbench201"), torch.randperm(15_625)[:9000]
    Scores("nasbench201", space.enumerate()[rows], {"mine": column[rows]}).save("s.parquet")
    status, _, err = run(
        *SEARCH, "--algorithm", "random_search", "--proxy", "mine", "--scores", "s.parquet", "--warmup", "80"
    )
    assert (status, err) == (0, "")
    partial = torch.full_like(column, torch.nan).index_copy(0, rows, column[rows])
    expected = search.run(search.warmup(search.random_search(), partial, 80), space, table, budget=80, runs=4)
    assert torch.equal(search.Trajectory.load("t.parquet").rows, expected.rows)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--algorithm", "evolution"), "unknown algorithm 'evolution': did you mean ageing_evolution?"),
        ((*RANDOM, "--budget", "15626"), "budget: expected 1 to 15625 trainings, the size of the space, got 15626"),
        ((*RANDOM, "--objective", "empty"), "table: expected accuracies in 'empty', got none"),
        (
            (*RANDOM, "--proxy", "params", "--warmup", "15626"),
            "--warmup: expected at most 15625 architectures, the size of the space, got 15626",
        ),
        ((*RANDOM, "--warmup", "10"), "--proxy: expected the name of a score for --warmup"),
        ((*RANDOM, "--proxy", "params"), "--proxy: no effect without --warmup or --move-proposal"),
        ((*RANDOM, "--proxy", "parms", "--warmup", "9"), "unknown proxy 'parms': did you mean params?"),
        (
            (*RANDOM, "--proxy", "params", "--move-proposal"),
            "move proposal: expected an algorithm that takes one, got random_search",
        ),
        ((*RANDOM, "--repetition", "x"), "repetition: expected 'mean' or 'random', got 'x'"),
        ((*RANDOM, "--target", "nan"), "--target: expected an accuracy, got nan"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(run, options, message):
    status, out, err = run(*SEARCH, *options)
    assert status == 1
    assert err.startswith(f"zcfast: {message}")
    assert len(err.splitlines()) == 1
    assert not out
    assert not Path("t.parquet").exists()


def test_scores_of_nan_only_and_of_another_space(run):
    cells = zcfast.space("nasbench201").enumerate()[:5]
    Scores("nasbench201", cells, {"mine": torch.full((5,), torch.nan)}).save("nan.parquet")
    options = ("--algorithm", "random_search", "--proxy", "mine", "--warmup", "9", "--scores")
    _, _, err = run(*SEARCH, *options, "nan.parquet")
    assert err == "zcfast: scores: expected at least one score that is a number, got NaN only\n"
    cells = zcfast.space("nasbench101").enumerate()[:5]
    Scores("nasbench101", cells, {"mine": torch.zeros(5)}).save("other.parquet")
    _, _, err = run(*SEARCH, *options, "other.parquet")
    assert err == "zcfast: other.parquet: expected scores of nasbench201, got those of nasbench101\n"


def test_ctrl_c_writes_the_trajectories_so_far(run, monkeypatch):
    ask = search.RandomSearch._ask

    def interrupted(self, state):
        if state.asked == 33:
            raise KeyboardInterrupt
        return ask(self, state)

    monkeypatch.setattr(search.RandomSearch, "_ask", interrupted)
    monkeypatch.setattr(search.RandomSearch, "advance", search.Algorithm.advance)  # one training after the other
    monkeypatch.setattr(search.RandomSearch, "look_ups", 1)
    status, out, err = run(*SEARCH, "--algorithm", "random_search")
    assert (status, err) == (130, "zcfast: interrupted\n")
    assert out == "132 trainings before the interruption: t.parquet\n"
    rows = search.Trajectory.load("t.parquet").rows
    assert ((rows >= 0) == (torch.arange(80) < 33)).all()
    _, out, _ = run("show", "t.parquet", "--target", "101")
    assert out.startswith("132 trainings of nasbench201: random_search, 4 runs\n")
    assert shown_trainings(out) == ["1", "2", "5", "10", "20", "33"]
    assert out.endswith("101 reached by 0 of 4 runs within 33 trainings\n")


def test_an_interruption_before_the_first_training(run, monkeypatch):
    def interrupted(self, state):
        raise KeyboardInterrupt

    monkeypatch.setattr(search.RandomSearch, "_ask", interrupted)
    monkeypatch.setattr(search.RandomSearch, "advance", search.Algorithm.advance)  # one training after the other
    monkeypatch.setattr(search.RandomSearch, "look_ups", 1)
    run(*SEARCH, "--algorithm", "random_search")
    status, out, _ = run("show", "t.parquet")
    assert status == 0
    assert out.startswith("0 trainings of nasbench201")
    assert shown_trainings(out) == []


def test_show_prints_the_summary_of_the_search(run):
    _, first, _ = run(*SEARCH, *RANDOM, "--target", "95")
    status, second, err = run("show", "t.parquet", "--target", "95")
    assert (status, err) == (0, "")
    summary = first[: first.index("written to")]
    assert second == f"320 trainings of nasbench201: random_search, 4 runs\n{summary}"


def test_show_refuses_options_of_the_other_kind_of_file(run):
    run(*SEARCH, *RANDOM)
    assert run("show", "t.parquet", "--top", "0")[2] == "zcfast: --top: no effect on trajectories\n"
    assert run("show", "t.parquet", "--table", "table.parquet")[2] == "zcfast: --table: no effect on trajectories\n"
    Scores("nasbench201", zcfast.space("nasbench201").enumerate()[:2], {"mine": torch.ones(2)}).save("s.parquet")
    assert run("show", "s.parquet", "--target", "1")[2] == "zcfast: --target: no effect on scores\n"
