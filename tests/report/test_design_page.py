"""The page of a design: its numbers, what it leaves out, and what files may not do to it."""

import math
import re

import pytest
import torch

import zcfast
from tests.designing.own_space import EXAMPLE, build, small
from tests.report.pages import HOSTILE, data_of, needs_extra
from tests.report.test_page import _Tags
from zcfast import report
from zcfast.designing import Design, Stages
from zcfast.report import design_page
from zcfast.scores import Scores, readable


@pytest.fixture(autouse=True)
def extra():
    needs_extra()


@pytest.fixture(scope="module")
def found():
    """Of choices that some bring, with widths that cannot be built, and two limits."""
    pytest.importorskip("optuna")
    space = zcfast.Space(build, EXAMPLE)
    by = Stages(("flops", "params"), "jacob_cov", 5)
    return zcfast.design(space, by=by, limits={"params": 20_000, "flops": 3e6}, evaluations=150)


def option(choice, row):
    return None if choice["of"][row] < 0 else choice["options"][choice["of"][row]]


def test_every_number_is_that_of_the_design(found):
    data = data_of(report.design(found))
    assert len(data["places"]) == len(found.tried) == 150
    assert data["places"] == [*range(1, len(found) + 1), *[None] * (150 - len(found))]
    assert [each["name"] for each in data["columns"]] == ["jacob_cov", "flops", "params"]
    for each in data["columns"]:
        for shown, value in zip(each["values"], found.tried[each["name"]].tolist(), strict=True):
            assert (shown is None) == math.isnan(value)
            assert shown is None or shown == pytest.approx(value, rel=1e-6)
    assert data["costs"] == ["flops", "params"]
    assert data["limits"] == {"params": 20_000, "flops": 3e6}
    for cost, rows in data["fronts"].items():
        picks = [each.architecture for each in found.pareto(cost)]
        assert picks == [found.space.format(found.tried.cells[row])[0] for row in rows]
    states = [data["states"][each] for each in data["state"]]
    assert set(states[: len(found)]) == {""}
    over = found.tried["params"].gt(20_000) | found.tried["flops"].gt(3e6)
    assert [state == "over a limit" for state in states] == over.tolist()
    assert sum("no eight" in state for state in states) == found.protocol["failed"] > 0


def test_choices_come_back_by_row(found):
    data = data_of(report.design(found))
    for row, text in enumerate(found.space.format(found.tried.cells)):
        given = {each["name"]: option(each, row) for each in data["choices"] if option(each, row) is not None}
        assert given == {
            name: design_page._written(value)
            for name, value in zcfast.designing.found.choices(text, found.tried.cells).items()
        }
    kernels = next(each for each in data["choices"] if each["name"] == "kernel0")
    assert kernels["options"] == ["1", "3", "5"]


def test_options_are_in_the_order_of_their_numbers():
    assert sorted(["10", "9", "true", "0.75", "0.8", "1e-3", "relu"], key=design_page._order) == [
        *("1e-3", "0.75", "0.8", "9", "10", "relu", "true")
    ]


def test_the_best_are_there_without_a_program(found):
    page = report.design(found, top=3)
    plain = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    best = found.best
    for name, value in best.choices.items():
        assert f"<dt>{name}</dt><dd>{design_page._written(value)}</dd>" in plain
    assert f"<dt>params</dt><dd>{best.values['params']:,.0f}</dd>" in plain
    assert plain.count("As text, which the space builds") == 3
    assert "jacob_cov: 5 architectures" in plain
    assert f"<dd>{zcfast.__version__}</dd>" in plain
    assert "without a network or a score" in plain
    assert "As text" not in report.design(found, top=0)


def test_counts_what_a_large_benchmark_has_over_a_limit():
    space = zcfast.space("nasbench101")
    found = zcfast.design(space, by="params", limits={"flops": 2.5e8})
    page = report.design(found, top=1)
    assert f"<b>{len(space) - len(found):,}</b> over a limit" in page


def test_a_benchmark_under_a_latency(tmp_path):
    space = zcfast.space("nasbench201")
    milliseconds = torch.rand(len(space), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = zcfast.design(space, limits={"latency": (milliseconds, 0.25)})
    page = report.design(found, top=2)
    data = data_of(page)
    assert data["costs"][0] == "latency"
    assert data["limits"] == {"latency": 0.25}
    over = len(space) - len(found)
    assert f"<b>{over:,}</b> over a limit" in page
    assert data["state"].count(data["states"].index("over a limit")) == over
    assert page.count('<svg class="cell"') == 2
    found.save(tmp_path / "f.parquet")
    assert report.design(Design.load(tmp_path / "f.parquet"), top=2) == page


def test_large_designs_have_the_best_and_the_fronts(monkeypatch, found):
    monkeypatch.setattr(design_page, "ROWS", 40)
    data = data_of(report.design(found))
    places = data["places"]
    assert places[:20] == list(range(1, 21))
    fronts = {row for each in data["fronts"].values() for row in each}
    assert len(places) <= 40 + len(fronts)
    for cost, rows in data["fronts"].items():
        column = found.scores[cost]
        assert [places[row] - 1 for row in rows] == design_page.front(column)
    assert f"{150 - len(places):,} architectures" in report.design(found)


def test_a_file_of_a_space_that_is_not_here(found, tmp_path):
    found.save(tmp_path / "f.parquet")
    with pytest.raises(ValueError, match="unknown search space 'build'"):
        Scores.load(tmp_path / "f.parquet")
    scores = readable(tmp_path / "f.parquet")
    page = report.design(Design(scores))
    assert "The space was not there when this page was made" in page
    assert data_of(page) == data_of(report.design(found))
    with pytest.raises(ValueError, match="build: expected the space to build a network, got texts of a file alone"):
        Design(scores).best.build()
    with pytest.raises(ValueError, match="expected the space to draw architectures"):
        scores.space.sample(1)


def test_what_a_design_says_is_text(found):
    texts = list(found.tried.cells.texts)
    texts[0] = f'{{"{HOSTILE[:8]}": "{HOSTILE[:30]}"}}'
    reasons = [HOSTILE if each else "" for each in found.tried.reasons["design"]]
    cells = type(found.tried.cells)(tuple(texts))
    space = zcfast.Space(small, EXAMPLE, name=HOSTILE)
    made = Scores(space, cells, found.tried.columns, found.tried.provenance, {"design": reasons})
    page = report.design(Design(made))
    tags = _Tags()
    tags.feed(page)
    assert [tag for tag, _ in tags.seen].count("script") == 3
    assert not any(tag in ("img", "link", "iframe") or "src" in attributes for tag, attributes in tags.seen)
    assert HOSTILE in data_of(page)["states"]
    assert "{{ 7 * 7 }}" in page


def test_infinite_scores_and_no_costs():
    space = zcfast.space("nasbench201")
    made = zcfast.design(space, by="expected_synflow").tried
    columns = {name: made[name] for name in ("design", "expected_synflow")}
    data = data_of(report.design(Design(Scores(space, made.cells, columns, made.provenance))))
    assert data["costs"] == []
    assert data["columns"][0]["values"][-1] == "-Infinity"


def test_bad_input(found):
    with pytest.raises(ValueError, match="found: expected Design, got Scores"):
        report.design(found.tried)
    with pytest.raises(ValueError, match="top: expected a number of networks >= 0, got -1"):
        report.design(found, top=-1)


def test_command(found, tmp_path, run):
    path, out = str(tmp_path / "f.parquet"), str(tmp_path / "r.html")
    found.save(path)
    status, output, error = run("report", path, "--out", out, "--top", "2")
    assert (status, error) == (0, "")
    assert "the space build is not here, so architectures are shown as the file has them" in output
    assert "written to" in output
    status, _, error = run("report", path, "--out", out, "--metrics", "test")
    assert (status, error) == (1, "zcfast: --metrics: no effect without --table\n")
    zcfast.score_space("nasbench201", ["params"]).save(path)
    status, _, error = run("report", path, "--out", out)
    assert status == 1
    assert "--table: expected accuracies to compare the scores of" in error


def test_a_design_of_a_space_made_in_python_is_shown(found, tmp_path, run):
    path = str(tmp_path / "f.parquet")
    found.save(path)
    status, output, error = run("show", path, "--top", "1")
    assert (status, error) == (0, "")
    assert "--space mymodule:space checks them, and takes a --table" in output
    assert " ".join(output.split()).count(found.best.architecture) == 1
    assert "150 architectures of build considered" in output
    status, _, error = run("show", path, "--table", path)
    assert status == 1
    assert "unknown search space 'build'" in error


def test_the_page_of_nothing(monkeypatch, tmp_path):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("zcfast.designing.run.by_formulas", stop)
    with pytest.raises(zcfast.designing.DesignInterrupted) as interrupted:
        zcfast.design("nasbench201", limits={"flops": 60e6})
    interrupted.value.found.save(tmp_path / "none.parquet")
    loaded = Design.load(tmp_path / "none.parquet")
    assert data_of(report.design(loaded))["places"] == []
    assert design_page._limits(loaded) == [("flops", "60,000,000", "", "")]


def test_accuracies_of_the_caller_are_named():
    space = zcfast.Space(small, EXAMPLE)
    found = zcfast.design(space, trained=dict(zip(space.format(space.enumerate()), range(8), strict=True)))
    assert design_page._ranking(found)[0] == ("First stage", "Predictor(small: 8 trained): 8 architectures")
