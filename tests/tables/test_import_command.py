from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

import zcfast
from tests.tables.writers import run, tfrecord
from zcfast import cli


@pytest.fixture(autouse=True)
def _in_an_empty_directory(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


def call(*arguments: str):
    return CliRunner().invoke(cli.app, ["import", *arguments])


def test_import():
    Path("only108").write_bytes(tfrecord(run(5, 108, [1, 2, 3, 0.25]), run(5, 108, [1, 2, 3, 0.75])))
    done = call("nasbench101", "only108", "--out", "table.parquet")
    assert done.exit_code == 0
    assert "mean CIFAR-10 test accuracy of its runs after 108 epochs" in done.stdout
    line = next(line for line in done.stdout.splitlines() if line.startswith("test "))
    assert line.split() == ["test", "cifar10", "test", "108", "fraction", "0,", "1", "2"]
    table = zcfast.table("nasbench101", "table.parquet")
    assert table.query(torch.tensor([5]), "test").item() == 0.5
    assert table.query(torch.tensor([5]), "test", 1).item() == 0.75


def test_an_error_leaves_the_table_of_before():
    Path("table.parquet").write_bytes(b"before")
    Path("damaged").write_bytes(tfrecord(run(5, 108, [1, 2, 3, 4]))[:-1])
    done = call("nasbench101", "damaged", "--out", "table.parquet")
    assert done.exit_code == 1
    assert "damaged: record 0 at byte 0: the file ends within its data" in str(done.exception)
    assert Path("table.parquet").read_bytes() == b"before"
    assert len(list(Path().iterdir())) == 2


def test_an_output_that_cannot_be_written_is_noticed_first():
    done = call("nasbench101", "missing", "--out", "no/table.parquet")
    assert isinstance(done.exception, OSError)
    assert "no/table.parquet: cannot write" in str(done.exception)
