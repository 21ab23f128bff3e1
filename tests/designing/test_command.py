"""`zcfast design` on the command line."""

import subprocess
import sys

import pytest

from tests.shared import environment
from zcfast.designing import Design
from zcfast.designing.limits import quantity

SPACE = """
import torch, zcfast
from torch import nn

def build(trial):
    width = trial.suggest_int("width", 4, 7)
    kernel = trial.suggest_categorical("kernel", [1, 3])
    layers = nn.Conv2d(3, width, kernel), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 4)
    return nn.Sequential(*layers)

space = zcfast.Space(build, example=(torch.randn(4, 3, 8, 8), torch.tensor([0, 1, 2, 3])))
"""


@pytest.mark.parametrize(
    ("name", "text", "number"),
    [
        ("flops", "450M", 450e6),
        ("flops", "450e6", 450e6),
        ("params", "5 M", 5e6),
        ("lat", "12ms", 12),
        ("lat", ".5s", 500),
        ("activation_memory", "40M", 40e6),
        ("activation_memory", "1.5 MiB", 1.5 * 2**20),
        ("activation_memory", "40kB", 40e3),
    ],
)
def test_quantities(name, text, number):
    assert quantity("--limit", name, text) == number


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("flops", "12ms"),
        ("flops", "5MB"),
        ("activation_memory", "5ms"),
        ("flops", "5 apples"),
        ("lat", ""),
        ("lat", "1.2.3"),
        ("params", "-5M"),
        ("flops", "nan"),
    ],
)
def test_what_is_no_quantity(name, text):
    with pytest.raises(ValueError, match=r"^--limit: expected a number"):
        quantity("--limit", name, text)


@pytest.mark.parametrize(
    ("name", "text", "meant"),
    [
        ("flops", "2m", "2M"),
        ("params", "1g", "1G"),
        ("lat", "3 MS", "3ms"),
        ("lat", "2S", "2s"),
        ("activation_memory", "2mib", "2MiB"),
    ],
)
def test_a_unit_in_the_wrong_case(name, text, meant):
    with pytest.raises(ValueError, match=rf"got '{text}'; did you mean {meant}\?"):
        quantity("--limit", name, text)


def test_a_benchmark_space(run, tmp_path):
    out = str(tmp_path / "found.parquet")
    status, printed, error = run("design", "nasbench201", "--limit", "flops=60M", "--by", "params", "--out", out)
    assert (status, error) == (0, "")
    assert "15,625 architectures of NAS-Bench-201 considered" in printed
    assert "with flops <= 60,000,000; ranked by params" in printed
    found = Design.load(out)
    assert found.best.values["flops"] <= 60e6
    status, shown, error = run("show", out, "--top", "1")
    assert (status, error) == (0, "")
    assert found.best.architecture in shown
    assert not (tmp_path / "found.parquet.parts").exists()


def test_a_table_of_costs(run, tmp_path):
    (tmp_path / "lat.csv").write_text("index,fpga\n" + "\n".join(f"{row},{row / 1000}" for row in range(15625)))
    arguments = ("--by", "params", "--out", str(tmp_path / "f.parquet"))
    status, _, error = run(
        "design", "nasbench201", "--costs", str(tmp_path / "lat.csv"), "--limit", "fpga=4.7ms", *arguments
    )
    assert (status, error) == (0, "")
    assert Design.load(tmp_path / "f.parquet").scores["fpga"].max() == pytest.approx(4.7)
    for limit, message in (
        ("fpga=4.7ms", "unknown limit 'fpga': expected one of flops, params"),
        ("flops", "--limit: expected NAME=MOST"),
        ("flops=1 apple", "--limit flops: expected a number with or without a unit"),
        ("flops=1", "none of 15,625 architectures considered has flops <= 1"),
    ):
        status, _, error = run("design", "nasbench201", "--limit", limit, *arguments)
        assert status == 1
        assert message in error
        assert error.count("\n") == 1


def test_ctrl_c_before_anything_is_considered_keeps_an_older_file(run, tmp_path, monkeypatch):
    out = tmp_path / "found.parquet"
    out.write_text("older")

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("zcfast.designing.run.by_formulas", stop)
    status, printed, _ = run("design", "nasbench201", "--by", "params", "--out", str(out))
    assert status == 130
    assert f"nothing was considered yet: {out} is not written" in printed
    assert "the same command goes on from there" in printed
    assert out.read_text() == "older"


@pytest.mark.parametrize("option", ["--trained", "--storage", "--costs", "--images"])
@pytest.mark.parametrize("given", ["{}", "sqlite:///{}", "sqlite:///{}?timeout=5"])
def test_no_file_that_is_read_is_replaced(run, tmp_path, option, given):
    out = tmp_path / "mine.log"
    out.write_text("mine")
    source = str(out) if option in ("--costs", "--images") else given.format(out)
    status, _, error = run("design", "nasbench201", option, source, "--out", str(out))
    assert status == 1
    assert f"--out: expected another file than {out}, which is read" in error
    assert out.read_text() == "mine"


@pytest.mark.slow
def test_an_own_space(tmp_path):
    (tmp_path / "familyspace.py").write_text(SPACE)
    call = [sys.executable, "-m", "zcfast", "design", "familyspace:space", "--limit", "params=150", "--workers", "2"]
    call += ["--out", "found.parquet"]
    done = subprocess.run(call, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=200)
    assert (done.returncode, done.stderr) == (0, "")
    assert "8 architectures of build considered" in done.stdout
    assert "ranked by flops + params, then the best" in done.stdout
