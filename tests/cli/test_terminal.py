"""What reaches the terminal: text of files made harmless, and an output that is closed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import zcfast
from zcfast.scores import Scores
from zcfast.tables import Metric, Table

HOSTILE = "[/b][red]x\x1b[31m\x9b2J‮:smile:"
COMMAND = (sys.executable, "-m", "zcfast")


@pytest.fixture(autouse=True)
def _away_from_the_checkout(tmp_path_factory, monkeypatch):
    """Where Python would find the package's source, of which nothing is compiled."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    monkeypatch.chdir(tmp_path_factory.mktemp("away"))


def run(*words, **options):
    return subprocess.run([*COMMAND, *map(str, words)], capture_output=True, text=True, timeout=300, **options)


def is_clean(text: str) -> bool:
    return all(line.isprintable() for line in text.split("\n"))


@pytest.fixture
def scores(tmp_path):
    cells = zcfast.space("nasbench201").enumerate()[:4]
    column = torch.tensor([1.0, 2, torch.nan, 4], dtype=torch.float64)
    reasons = {HOSTILE: ["", "", "failed: " + HOSTILE, ""]}
    path = tmp_path / "scores.parquet"
    Scores("nasbench201", cells, {HOSTILE: column}, reasons=reasons).save(path)
    return path


@pytest.mark.slow
def test_text_of_files_is_shown_and_not_obeyed(scores, tmp_path):
    values = torch.arange(15_625, dtype=torch.float64)[None]
    metric = Metric(values, HOSTILE, HOSTILE, None, HOSTILE)
    table = tmp_path / "table.parquet"
    Table("nasbench201", {HOSTILE: metric}, (HOSTILE,), HOSTILE).save(table)
    outputs = [
        run("show", scores, "--table", table),
        run("import", "nasbench201", table, "--out", tmp_path / "other.parquet"),
        run("report", scores, "--table", table, "--out", tmp_path / "page.html"),
    ]
    for output in outputs:
        assert output.returncode == 0, output.stderr
        assert "[/b][red]x?[31m" in output.stdout.replace("\n", "").replace(" ", "")
        assert is_clean(output.stdout)


@pytest.mark.parametrize("words", [("show", HOSTILE), ("score", HOSTILE, "--proxies", "params", "--out", "x")])
def test_errors_are_one_line_of_text(words, tmp_path):
    output = run(*words, cwd=tmp_path)
    assert output.returncode == 1
    assert len(output.stderr.splitlines()) == 1
    assert is_clean(output.stderr)


@pytest.mark.parametrize("words", [("spaces",), ("info",), ("show",), ("--help",)])
@pytest.mark.slow
def test_a_closed_output_ends_without_a_traceback(words, scores):
    words = (*words, str(scores)) if words == ("show",) else words
    closed = subprocess.run(["sh", "-c", '"$@" >&-', "sh", *COMMAND, *words], capture_output=True, text=True)
    assert (closed.returncode, closed.stderr) == (0, "")
    reader, writer = os.pipe()
    os.close(reader)
    broken = subprocess.run([*COMMAND, *words], stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert (broken.returncode, broken.stderr) == (1, "")
    with Path("/dev/full").open("w") as full:
        filled = subprocess.run([*COMMAND, *words], stdout=full, stderr=subprocess.PIPE, text=True)
    assert filled.returncode == 1
    assert len(filled.stderr.splitlines()) == 1


def test_names_that_are_no_text(scores, tmp_path):
    """A file system has any bytes for names."""
    table, page = tmp_path / os.fsdecode(b"t\xff"), tmp_path / os.fsdecode(b"p\xff")
    values = torch.arange(15_625, dtype=torch.float64)[None]
    Table("nasbench201", {"a": Metric(values, "", "", None, "")}, ("a",), "").save(table)
    named = scores.rename(tmp_path / os.fsdecode(b"s\xff"))
    output = run("report", named, "--table", table, "--out", page)
    assert (output.returncode, output.stderr) == (0, "")
    assert page.exists()
    assert is_clean(output.stdout)
    missing = run("show", tmp_path / os.fsdecode(b"none\xff"))
    assert (missing.returncode, len(missing.stderr.splitlines())) == (1, 1)


def test_errors_are_no_longer_than_anyone_reads():
    ended = run("score", "nasbench" + 5000 * "9", "--proxies", "params", "--out", "never")
    assert ended.returncode != 0
    assert ended.stderr.startswith("zcfast: unknown search space 'nasbench999")
    assert len(ended.stderr) < 1300
    assert "expected one of" in ended.stderr
