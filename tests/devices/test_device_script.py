"""bench/device without a card: its refusals, its parts on stand-ins, and what it keeps of a run that is cut off."""

import subprocess
import sys
import sysconfig
import time
import zipfile
from pathlib import Path

import pytest
import torch

from bench.device import build, kernels, machine, parts
from bench.device.card import Card
from bench.device.cases import cases
from bench.device.report import Report
from bench.device.session import attempted, run_jobs
from bench.device.table import table


def refusal(call, *arguments):
    """The line with which the script ends."""
    with pytest.raises(SystemExit) as end:
        call(*arguments)
    assert "\n" not in end.value.code
    return end.value.code


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
@pytest.mark.slow
def test_no_device_is_one_line(request):
    command = [sys.executable, "-m", "bench.device"]
    done = subprocess.run(command, cwd=request.config.rootpath, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("device: expected a ")
    assert done.stderr.endswith("; nothing was built or run\n")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("2.9.1+cu128", "12.8"), "expected torch 2.10 or newer, got 2.9.1+cu128; nothing was built or run"),
        (
            ("2.13.0+cpu", None),
            "expected a torch built with CUDA, got 2.13.0+cpu for the CPU; nothing was built or run",
        ),
    ],
)
def test_torch_is_too_old_or_for_the_cpu(arguments, line):
    assert refusal(machine.check_torch, *arguments) == f"device: {line}"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            "Found no NVIDIA driver on your system.\nPlease check",
            "expected a CUDA device, got none: Found no NVIDIA driver on your system.; nothing was built or run",
        ),
        (
            "The NVIDIA driver on your system is too old (found version 12040). Please update",
            "expected a driver for CUDA 13.0, as this torch is, got one for CUDA 12.4",
        ),
    ],
)
def test_no_card_or_too_old_a_driver(monkeypatch, error, line):
    def init():
        raise RuntimeError(error)

    monkeypatch.setattr(torch.cuda, "init", init)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    assert refusal(machine.check_card) == f"device: {line}"


def test_nothing_to_build_with():
    neither = "device: expected nvcc on PATH, in CUDACXX or in /usr/local/cuda/bin, or --wheel FILE, got neither"
    assert refusal(machine.check_builder, None, []) == neither
    line = refusal(machine.check_builder, "/bin/nvcc", ["ninja"])
    assert line.startswith("device: expected the Python packages cmake, ninja, pybind11, setuptools to build with")
    assert line.endswith("got no ninja")


def test_the_driver_is_older_than_nvcc():
    line = "device: expected a driver for CUDA 13.2, as nvcc is, got one for CUDA 12.8"
    assert refusal(machine.check_driver, "13.2", 12080) == line
    machine.check_driver("13.2", 13000)  # of one major version
    machine.check_driver("12.8", 13000)


def test_wheels_that_are_none(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "ROOT", tmp_path)
    assert refusal(build.unpack, tmp_path / "gone.whl").startswith("device: --wheel: expected a wheel of zcfast, got")
    (tmp_path / "text.whl").write_text("text")
    assert "File is not a zip file" in refusal(build.unpack, tmp_path / "text.whl")
    with zipfile.ZipFile(tmp_path / "other.whl", "w") as archive:
        archive.writestr("zcfast/_C.abi3.so", "code")
        archive.writestr("zcfast/_tables.cpython-39-x86_64-linux-gnu.so", "code")
    line = refusal(build.unpack, tmp_path / "other.whl")
    assert line.startswith("device: --wheel: expected zcfast/_tables.")
    assert not (tmp_path / "zcfast").exists()


def test_a_wheel_of_this_python(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "ROOT", tmp_path)
    files = ["zcfast/_C.abi3.so", f"zcfast/_tables{sysconfig.get_config_var('EXT_SUFFIX')}"]
    with zipfile.ZipFile(tmp_path / "zcfast.whl", "w") as archive:
        for name in [*files, "zcfast/__init__.py"]:
            archive.writestr(name, "code")
    assert build.unpack(tmp_path / "zcfast.whl") == {"wheel": "zcfast.whl", "ok": True}
    assert sorted(path.name for path in (tmp_path / "zcfast").iterdir()) == [name.split("/")[1] for name in files]


@pytest.mark.parametrize(
    ("printed", "error", "line"),
    [
        ("False", "", "expected an extension built with CUDA, got one for the CPU only"),
        ("", "OSError: undefined symbol", "expected an extension built with CUDA, got OSError: undefined symbol"),
        (
            "True",
            "RuntimeError: CUDA launch failed: no kernel image is available",
            "expected an extension for compute capability 9.0 and a driver for CUDA 13.0, "
            "got RuntimeError: CUDA launch failed: no kernel image is available",
        ),
    ],
)
def test_an_extension_that_does_not_run_here(monkeypatch, printed, error, line):
    monkeypatch.setattr(build, "asked", lambda program: (printed, error))
    found = {"capability": "9.0", "driver": "13.0"}
    assert refusal(build.check_built, found, False) == f"device: {line}"


class Clockless(Card):
    """The CPU, without clocks."""

    device = "cpu"
    copy_bandwidth = 1e12
    lost = False

    def synchronize(self):
        if self.lost:
            raise RuntimeError("an illegal memory access was encountered")

    def median_microseconds(self, compute):
        compute()
        return 1

    graph_microseconds = median_microseconds


def test_cases():
    found = {case.name: kernels.measure(case, Clockless()) for case in cases(small=True)}
    assert all(row["ok"] for row in found.values()), found
    content = {"machine": {"device": "", "torch": "", "cuda": ""}, "parts": {}}
    rows = [{"name": name, **row} for name, row in found.items()]
    content["parts"]["kernels"] = {"rows": rows, "seconds": 1}
    assert all(name in table(content, ["kernels"]) for name in found)


@pytest.mark.slow
def test_cell_cases_rivals():
    for case in cases(small=True):
        if case.name.startswith("nasbench101"):
            ours, rival = case.ours(*case.arguments), case.rival(*case.arguments)
            if isinstance(ours, tuple):
                assert torch.equal(ours[0].long(), rival[0].long()), case.name
            else:
                middle = len(ours) // 2
                torch.testing.assert_close(ours[middle : middle + 3], torch.stack(rival).log(), rtol=1e-5, atol=0)


def test_an_error_is_kept():
    def fail():
        raise RuntimeError("an illegal memory access was encountered")

    found = attempted("kernel", fail)
    assert found["error"] == "RuntimeError: an illegal memory access was encountered"
    assert not found["ok"]


def test_a_lost_context_leaves_the_rest_to_a_new_process(tmp_path):
    card, report, ran = Clockless(), Report(tmp_path / "report.json"), []

    def lose():
        card.lost = True
        raise RuntimeError("an illegal memory access was encountered")

    jobs = [
        ("first", lambda: ran.append("first") or {}),
        ("second", lose),
        ("third", lambda: ran.append("third") or {}),
    ]
    report.begin("kernels")
    assert not run_jobs("kernels", jobs, report, card)
    assert run_jobs("kernels", jobs, Report(report.path), Clockless())
    assert ran == ["first", "third"]
    assert [row["ok"] for row in Report(report.path).rows("kernels")] == [True, False, True]


SLOW_PART = """
import json, pathlib, subprocess, sys, time
out = pathlib.Path(sys.argv[sys.argv.index("--out") + 1])
child = subprocess.Popen(["sleep", "100"])
row = {"name": "x", "ok": False, "pid": child.pid}
out.write_text(json.dumps({"machine": {}, "parts": {"cells": {"rows": [row]}}}))
time.sleep(100)
"""


def test_a_part_that_takes_too_long_keeps_its_rows(tmp_path, monkeypatch):
    """Its process is ended, with those that it started, and what it was at is named."""
    report, run = Report(tmp_path / "report.json"), subprocess.Popen

    def slow(command, **options):
        return run([sys.executable, "-c", SLOW_PART, *command[3:]], **options)

    monkeypatch.setattr(parts.subprocess, "Popen", slow)
    parts.run_part("cells", report, 5, [])
    assert report.wrong(["cells"]) == ["cells: x"]
    status = Path(f"/proc/{report.rows('cells')[0]['pid']}/status")
    time.sleep(0.2)
    assert not status.exists() or "zombie" in status.read_text()


def test_other_parts_of_a_file_stay(tmp_path):
    report = Report(tmp_path / "report.json")
    report.begin("kernels")
    report.put("kernels", 0, {"name": "copy", "ok": True})
    again = Report(report.path)
    again.begin("cells")
    assert Report(report.path).rows("kernels") == [{"name": "copy", "ok": True}]
