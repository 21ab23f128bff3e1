import builtins
import math
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import torch

import zcfast
from tests.report.pages import HOSTILE, data_of, needs_extra, scores, table
from tests.shared import shared_data
from zcfast import analysis, report, tables
from zcfast.report.density import rank_scatter
from zcfast.report.numbers import FRACTIONS
from zcfast.scores import Scores


@pytest.fixture(autouse=True)
def extra():
    needs_extra()


def same(shown: float | None, computed: float | None) -> bool:
    if computed is None or math.isnan(computed):
        return shown is None
    return shown == computed


@pytest.mark.parametrize("rows", [2500, 300, 1, 0])
def test_every_number_is_that_of_the_analysis(rows):
    made, accuracies = scores(rows), table(missing=20)
    data = data_of(report.html(made, accuracies))
    columns = list(made.columns.values())
    assert [each["name"] for each in data["scores"]] == list(made.columns)
    for result, metric in zip(data["results"], accuracies.headline, strict=True):
        reached = accuracies.query(made.cells, metric)
        for part, fraction in enumerate(FRACTIONS):
            for id, column in enumerate(columns):
                shown = result["statistics"][part][id]
                assert same(shown["spearman"], analysis.spearman_top(column, reached, fraction))
                assert same(shown["kendall"], analysis.kendall_top(column, reached, fraction))
                assert same(shown["overlap"], analysis.top_fraction_overlap(column, reached, fraction))
                assert same(shown["best"], analysis.best_at_k(column, reached, 10))
                assert result["correlations"][part][-1][id] == shown["spearman"]
        pairs = result["correlations"][0]
        rated = ~reached.isnan()
        assert same(pairs[0][1], analysis.spearman(columns[0][rated], columns[1][rated]))
        assert pairs[0][1] == pairs[1][0]
        for target in result["targets"]:
            for id, column in enumerate(columns):
                assert target["trainings"][id] == analysis.trainings_until(column, reached, target["accuracy"])


def test_curves_are_the_best_accuracies_at_every_number_of_trainings():
    made, accuracies = scores(200), table()
    column, reached = made["zeros"], accuracies.query(made.cells, "test")
    steps = dict(map(tuple, data_of(report.html(made, accuracies))["results"][0]["curves"][1]))
    best = 0.0
    for k in range(1, 201):
        best = steps.get(k, best)
        assert best == analysis.best_at_k(column, reached, k)


@pytest.mark.parametrize("size", [300, 9_000])
def test_scatters_hold_every_row_with_both(size):
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(2, size, generator=generator, dtype=torch.float64)
    x[:7], y[-5:] = torch.nan, torch.nan
    whole = rank_scatter(x, y, 1.0)
    assert whole["rows"] == size - 12
    assert rank_scatter(x, y, 0.1)["rows"] == round((size - 12) / 10)
    if size == 300:
        assert [row for *_, row in whole["points"]] == list(range(7, 295))
        by_score = sorted(whole["points"])
        assert by_score[0][:1] + by_score[-1][:1] == [round(50 / 288, 2), round(100 - 50 / 288, 2)]
        assert by_score[-1][2] == int(x.nan_to_num(-9).where(~y.isnan(), torch.tensor(-9.0).double()).argmax())
    else:
        counts = np.array(whole["counts"]).reshape(whole["bins"], whole["bins"])
        assert counts.sum() == size - 12
        # Ranks without ties fill each row and each column alike.
        for margin in (counts.sum(0), counts.sum(1)):
            assert margin.max() - margin.min() <= 1
        assert np.trace(np.array(rank_scatter(x, x, 1.0)["counts"]).reshape(48, 48)) == size - 7


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict]] = []

    def handle_starttag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))


def test_what_files_say_is_text():
    page = report.html(scores(60), table())
    tags = _Tags()
    tags.feed(page)
    assert [tag for tag, _ in tags.seen].count("script") == 3
    assert not any(tag in ("img", "link", "iframe") or "src" in attributes for tag, attributes in tags.seen)
    assert not any(name.startswith("on") for _, attributes in tags.seen for name in attributes)
    assert "{{ 7 * 7 }}" in page  # not rendered a second time
    assert HOSTILE in [each["name"] for each in data_of(page)["scores"]]
    assert "http" not in re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL).replace("http-equiv", "")


def test_reasons_and_zeros_are_told():
    page = report.html(scores(60), table(missing=20))
    assert "10: failed: &lt;/script&gt;" in page
    assert "12: a score of zero, ranked last" in page
    assert "50 of 60" in page  # scored
    assert "40 of 60" in page  # found in the table


def test_scores_of_unknown_provenance():
    made = scores(5)
    assert "Content-Security-Policy" in report.html(Scores(made.space, made.cells, made.columns), table())


def test_the_best_come_in_the_order_of_top():
    made, accuracies = scores(60), table(missing=3)
    data = data_of(report.html(made, accuracies, top=7))
    assert [each["score"] for each in data["best"][0]] == [
        f"{made['ties'][row].item():,}" for row in made.top(7, "ties").tolist()
    ]
    reached = accuracies.query(made.cells, "test")
    row = int(made.top(1, "ties")[0])
    place = int((reached > reached[row]).sum()) + 1
    assert data["best"][0][0]["reached"][0] == [reached[row].item(), place]
    assert data_of(report.html(made, accuracies, top=0))["best"] == [[], [], []]


def test_nasbench101():
    space = zcfast.space("nasbench101")
    page = report.html(scores(40, space), table(space=space), metrics=["test"])
    assert page.count('<svg class="cell"') >= 10
    assert re.search('data-name="[0-9a-f]{32}"', page)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"table": table(space=zcfast.space("nasbench101"))},
            "table: expected accuracies of nasbench201, got nasbench101",
        ),
        ({"metrics": ["tset"]}, "unknown metric 'tset': did you mean test"),
        ({"metrics": []}, "metrics: expected one or more, got none"),
        ({"top": -1}, "top: expected a number of rows >= 0, got -1"),
    ],
)
def test_errors(change, message):
    arguments = {"table": table(), **change}
    with pytest.raises(ValueError, match=re.escape(message)):
        report.html(scores(5), **arguments)


@pytest.mark.parametrize("name", ["vl_convert", "jinja2"])
def test_without_the_extra(monkeypatch, name):
    real = builtins.__import__

    def absent(module, *rest, **options):
        if module == name:
            raise ImportError(module)
        return real(module, *rest, **options)

    report.document._plot_library.cache_clear()
    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(ImportError, match=r"not installed: pip install 'zcfast\[report\]'"):
        report.html(scores(5), table())


@pytest.mark.slow
def test_command(tmp_path, run):
    made = scores(40)
    made.save(tmp_path / "s.parquet")
    table().save(tmp_path / "t.parquet")
    arguments = ["report", str(tmp_path / "s.parquet"), "--table", str(tmp_path / "t.parquet"), "--metrics", "test"]
    status, output, error = run(*arguments, "--out", str(tmp_path / "r.html"))
    assert (status, error) == (0, "")
    assert "40 architectures of nasbench201" in output
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert page == report.html(Scores.load(tmp_path / "s.parquet"), table(), metrics=["test"])
    status, _, error = run(*arguments[:-1], "tset", "--out", str(tmp_path / "other.html"))
    assert (status, error.count("\n")) == (1, 1)
    assert not (tmp_path / "other.html").exists()


def test_all_of_nasbench101_is_small():
    accuracies = tables.load("nasbench101", shared_data("nasbench101/accuracies.npz"))
    made = zcfast.score_space("nasbench101", ["expected_synflow", "params", "flops"])
    page = report.html(made, accuracies)
    assert len(page.encode()) < 6e6
    result = data_of(page)["results"][0]
    assert result["statistics"][0][0]["spearman"] == analysis.spearman(made["expected_synflow"], accuracies["test"])
    assert result["scatters"][0][0]["rows"] == sum(result["scatters"][0][0]["counts"]) == 423_624
