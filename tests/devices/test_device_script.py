"""bench/device.py without a device: its refusal, and its cases with the CPU in the device's place."""

import subprocess
import sys

import pytest
import torch

from bench import device, device_cases


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_no_device_is_one_line(request):
    command = [sys.executable, "-m", "bench.device"]
    done = subprocess.run(command, cwd=request.config.rootpath, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "device: expected a CUDA device, PyTorch finds none here; nothing was built or run\n"


@pytest.fixture
def cpu_for_device(monkeypatch):
    moved = device.to_device
    monkeypatch.setattr(device, "to_device", lambda value, _: moved(value, "cpu"))
    for clock in ("median_microseconds", "graph_microseconds"):
        monkeypatch.setattr(device, clock, lambda compute: compute() is not None)


@pytest.mark.parametrize("cases", ["saliency_cases", "fisher_cases", "jacobian_cases", "search_cases"])
def test_cases(cpu_for_device, cases):
    for case in getattr(device_cases, cases)():
        assert device.measure(case, 1e12)["ok"], case.name


def test_cell_cases_and_their_rivals_on_a_few(cpu_for_device):
    for case in device_cases.cell_cases():
        few = (*(tensor[::4000] for tensor in case.arguments[:3]), *case.arguments[3:])
        ours, rival = case.ours(*few), case.rival(*few)
        if isinstance(ours, tuple):
            assert torch.equal(ours[0].long(), rival[0].long()), case.name
        else:
            middle = len(ours) // 2
            torch.testing.assert_close(ours[middle : middle + 3], torch.stack(rival).log(), rtol=1e-5, atol=0)


def test_an_error_is_kept():
    def fail():
        raise RuntimeError("an illegal memory access was encountered")

    found = device.attempted("kernel", fail)
    assert found == {"name": "kernel", "ok": False, "error": "RuntimeError: an illegal memory access was encountered"}
