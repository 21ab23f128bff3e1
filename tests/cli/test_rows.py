"""`zcfast show` with options of rows: chosen, sorted, as CSV and JSON; and what --out may be called."""

import csv
import io
import json

import pytest
import torch
from typer.testing import CliRunner

import zcfast
from zcfast.cli import app
from zcfast.scores import Scores

COLUMN = torch.tensor([3.0, float("nan"), 1.0, 2.0], dtype=torch.float64)


@pytest.fixture
def file(tmp_path):
    cells = zcfast.space("nasbench101").enumerate()[[5, 6, 7, 8]]
    columns = {"snip": COLUMN, "flops": torch.tensor([40, 10, 20, 30])}
    Scores("nasbench101", cells, columns, reasons={"snip": ["", "failed: too small", "", ""]}).save(
        tmp_path / "s.parquet"
    )
    return tmp_path / "s.parquet"


def shown(file, *words):
    result = CliRunner().invoke(app, ["show", str(file), *words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def rows(file, *words):
    return json.loads(shown(file, "--json", *words))


def test_rows_as_json_have_every_column_and_null_for_no_number(file):
    first, second, *_ = rows(file)
    assert list(first) == ["index", "hash", "vertices", "edges", "operations", "snip", "flops", "reason_snip"]
    assert (first["index"], first["snip"], first["flops"], first["reason_snip"]) == (5, 3.0, 40, None)
    assert (second["snip"], second["reason_snip"]) == (None, "failed: too small")
    assert isinstance(first["operations"], list)


def test_rows_as_csv_are_the_same(file):
    read = list(csv.DictReader(io.StringIO(shown(file, "--csv"))))
    assert [int(row["flops"]) for row in read] == [40, 10, 20, 30]
    assert json.loads(read[0]["operations"]) == rows(file)[0]["operations"]


def test_no_number_comes_last_in_either_order(file):
    assert [row["flops"] for row in rows(file, "--sort", "snip")] == [20, 30, 40, 10]
    assert [row["flops"] for row in rows(file, "--sort=-snip")] == [40, 30, 20, 10]


@pytest.mark.parametrize(
    ("condition", "kept"),
    [
        ("flops<=20", [10, 20]),
        ("flops < 20", [10]),
        ("flops>3e1", [40]),
        ("flops>=30", [40, 30]),
        ("flops=10", [10]),
        ("flops!=10", [40, 20, 30]),
        ("flops==10", [10]),
        ("snip!=2", [40, 20]),
        ("snip<=2", [20, 30]),
        ("reason_snip=failed: too small", [10]),
    ],
)
def test_conditions(file, condition, kept):
    assert [row["flops"] for row in rows(file, "--where", condition)] == kept


def test_names_with_signs_and_commas(tmp_path):
    label = "wrcor(weighted=True, init='as_is')"
    columns = {label: COLUMN, "wrcor": COLUMN + 1}
    cells = zcfast.space("nasbench201").enumerate()[:4]
    Scores("nasbench201", cells, columns).save(tmp_path / "s.parquet")
    found = rows(tmp_path / "s.parquet", "--where", f"{label} > 1", "--columns", f"wrcor,{label}, index")
    assert [list(row) for row in found] == [["wrcor", label, "index"]] * 2
    assert [row[label] for row in found] == [3.0, 2.0]


def test_rows_of_many_columns_are_shown_one_below_the_other(file):
    text = shown(file, "--where", "flops=10")
    assert "\nflops: 10\nreason_snip: failed: too small\n" in text


def test_columns_without_any_value_are_left_out_of_a_table(file):
    assert "reason_snip" not in shown(file, "--where", "flops>10")


def test_conditions_columns_and_a_limit_together(file):
    found = rows(
        file, "--where", "flops>10", "--where", "snip<3", "--sort=-snip", "--columns", "flops, snip", "--limit", "1"
    )
    assert found == [{"flops": 30, "snip": 2.0}]


def test_a_table_says_how_many_rows_are_left_out(file):
    text = shown(file, "--limit", "3", "--columns", "flops,reason_snip")
    assert "failed: too small" in text
    assert "1 more rows" in text


def test_accuracies_and_trajectories_are_shown_too(tmp_path):
    from tests.tables.test_stored_tables import example

    example().save(tmp_path / "t.parquet")
    assert "index" in rows(tmp_path / "t.parquet", "--limit", "1")[0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--sort", "nope"], "--sort: unknown column 'nope'"),
        (["--columns", "flops,nope"], "--columns: unknown column 'nope'"),
        (["--where", "nope<1"], "--where: unknown column 'nope'"),
        (["--where", "flops"], "--where: expected NAME<=NUMBER"),
        (["--where", "flops<x"], "--where: expected a number to compare flops with, got 'x'"),
        (["--where", "operations=1"], "--where: expected a column of numbers or texts, got operations"),
        (["--csv", "--json"], "--json: expected it or --csv, got both"),
        (["--csv", "--top", "3"], "--top: no effect where rows are printed"),
    ],
)
def test_errors_name_the_option(file, words, message):
    with pytest.raises(ValueError, match="(?s)^" + message):
        CliRunner().invoke(app, ["show", str(file), *words], catch_exceptions=False)


def test_a_file_that_is_none_of_ours(tmp_path):
    (tmp_path / "x.parquet").write_text("text")
    with pytest.raises(ValueError, match="expected a Parquet file saved by zcfast, got a file that does not read as"):
        CliRunner().invoke(app, ["show", str(tmp_path / "x.parquet"), "--csv"], catch_exceptions=False)


@pytest.mark.parametrize("name", ["s.csv", "s.json", "S.CSV", "s.html", "s.npz"])
def test_a_parquet_file_is_not_called_something_else(tmp_path, name):
    words = ["score", "nasbench201", "--proxies", "params", "--out", str(tmp_path / name)]
    with pytest.raises(ValueError, match="expected a name for a Parquet file, such as"):
        CliRunner().invoke(app, words, catch_exceptions=False)
    assert not list(tmp_path.iterdir())
