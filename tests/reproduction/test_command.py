import csv
import sys

import pytest
from pyarrow import parquet

from reproduction import TARGETS, chosen
from reproduction.paper import reference
from tests.reproduction.shared import CIFAR10, context, representatives, write_scores


def test_table1_is_printed_and_written(run, tmp_path, data):
    made = context(data)
    write_scores(tmp_path / "s" / "a.parquet", made.protocol(CIFAR10), representatives(made.drawn(CIFAR10, 30)))
    arguments = ("--data", str(data), "--scores", str(tmp_path / "s"), "--out", str(tmp_path / "o"), "--sample", "30")
    status, out, err = run("table1", *arguments)
    assert (status, err) == (0, "")
    assert sorted(path.name for path in (tmp_path / "o").iterdir()) == [
        f"table1.{e}" for e in ("csv", "md", "parquet", "png")
    ]
    assert (tmp_path / "o" / "table1.png").read_bytes()[:4] == b"\x89PNG"
    rows = parquet.read_table(tmp_path / "o" / "table1.parquet").to_pylist()
    with (tmp_path / "o" / "table1.csv").open() as file:
        texts = list(csv.DictReader(file))
    snip = next(row for row in rows if row["proxy"] == "snip" and row["accuracy"] == CIFAR10.accuracy)
    assert (snip["rows"], snip["paper"], snip["authors"]) == (30, 0.58, 0.596)
    assert float(texts[rows.index(snip)]["ours"]) == snip["ours"]
    line = f"| NAS-Bench-201 CIFAR-10 | {CIFAR10.accuracy} | snip | 30 | 0.580 | 0.596 | {snip['ours']:.3f} |"
    assert line in (tmp_path / "o" / "table1.md").read_text()
    assert f"{snip['ours']:.3f}" in out
    assert rows[0]["source"].startswith("paper: ")
    assert next(row for row in rows if row["proxy"] == "params")["source"].startswith("not available")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("table6",), "unknown table or figure 'table6': did you mean table16 or table"),
        (("tabel1",), "unknown table or figure 'tabel1': did you mean table1"),
        (("table1", "--data", "nowhere"), "nowhere: expected a directory of accuracies and pictures, got none"),
        (("table1", "--scores", "nowhere"), "nowhere: expected a file or a directory of scores, got none"),
    ],
)
def test_bad_input_is_one_line(run, monkeypatch, tmp_path, data, arguments, message):
    monkeypatch.chdir(tmp_path)
    given = [*arguments] if "--data" in arguments else [*arguments, "--data", str(data)]
    status, out, err = run(*given, "--out", "out")
    assert (status, out) == (1, "")
    assert err.count("\n") == 1
    assert message in err
    assert not (tmp_path / "out").exists()


def test_out_that_can_be_no_directory(run, tmp_path, data):
    file = tmp_path / "s.parquet"
    file.touch()
    for out, message in ((file, "a directory, got a file"), (file / "out", "a directory that can be made, got")):
        status, _, err = run("table1", "--data", str(data), "--out", str(out))
        assert status == 1
        assert f"--out: expected {message}" in err


def test_a_damaged_file_of_scores_is_named(run, tmp_path, data):
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "bad.parquet").write_bytes(b"PAR1 not")
    paths = ("--data", str(data), "--scores", str(tmp_path / "s"), "--out", str(tmp_path / "o"))
    status, _, err = run("table1", *paths)
    assert status == 1
    assert "bad.parquet: expected a Parquet file of scores" in err


def test_missing_matplotlib_is_named_at_once(run, monkeypatch, tmp_path, data):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    status, _, err = run("table1", "--data", str(data), "--out", str(tmp_path / "o"))
    assert status == 1
    assert "figures need matplotlib, which is not installed: pip install 'zcfast[figures]'" in err


def test_all_is_every_target_in_the_papers_order():
    names = chosen(["all"])
    assert set(names) == set(TARGETS)
    assert names[:4] == ["table1", "table2", "table3", "table4"]
    assert names[-4:] == ["figure4", "figure5", "figure7", "figure8"]
    assert chosen(["figure2", "table1", "table1"]) == ["table1", "figure2"]


def test_references_keep_paper_and_authors_apart():
    both = reference("table1", "nasbench201-cifar10", "synflow")
    assert (both.paper, both.authors) == (0.74, 0.737)
    assert reference("table2", "nasbench101-cifar10", "synflow").paper is None
    nothing = reference("table13", "nasbench201-cifar10", "synflow")
    assert (nothing.paper, nothing.authors, nothing.source) == (None, None, "")
