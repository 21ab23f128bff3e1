"""`zcfast latency`, and designs under what it measured."""

import csv
import json

import pytest

from zcfast.designing import Design

SPACE = "tests.latency.nets:sleepers"


@pytest.fixture
def measured(run, tmp_path):
    out = tmp_path / "latency.csv"
    status, output, error = run("latency", SPACE, "--sample", "6", "--out", str(out))
    assert (status, error) == (0, "")
    assert "6 architectures of sleeping by torch: " in output
    return out


def test_the_file_has_each_architecture_with_its_milliseconds(measured):
    with measured.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len({row["architecture"] for row in rows}) == 6
    asked = [json.loads(row["architecture"])["milliseconds"] for row in rows]
    assert all(wanted <= float(row["latency"]) for wanted, row in zip(asked, rows, strict=True))
    assert sorted(range(6), key=asked.__getitem__) == sorted(range(6), key=lambda row: float(rows[row]["latency"]))


def test_a_design_under_what_is_learned_from_it(measured, run, tmp_path):
    out = str(tmp_path / "found.parquet")
    under = ("--costs", str(measured), "--limit", "latency=23ms", "--by", "params")
    status, output, error = run("design", SPACE, *under, "--out", out)
    assert (status, error) == (0, "")
    assert "latency is learned from 6 measured architectures" in output
    assert 10 <= Design.load(out).best.choices["milliseconds"] <= 20


def test_wrong_calls_are_one_line_each(run, tmp_path):
    out = ("--out", str(tmp_path / "latency.csv"))
    for arguments, message in (
        (("--runtime", "tensorrt"), "unknown runtime 'tensorrt': expected one of torch, torch.compile, onnxruntime"),
        (("--device", "npu"), "device: expected cpu or cuda, got 'npu'"),
        (("--sample", "9"), "--sample: expected at most 8 architectures"),
        (("--option", "stem=3"), "unknown option 'stem'"),
    ):
        status, _, error = run("latency", SPACE, *arguments, *out)
        assert status == 1
        assert message in error
        assert error.count("\n") == 1
    assert not (tmp_path / "latency.csv").exists()
