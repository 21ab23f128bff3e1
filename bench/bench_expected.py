"""Expected synflow of whole spaces, beside the published scheme: build each network, forward and backward."""

import dataclasses
import os
import subprocess
import sys

import pytest
import torch

from bench.timing import measured
from tests.expected import networks
from zcfast.spaces import space
from zcfast.spaces.nasbench101.closed_forms import nasbench101_expected_synflow
from zcfast.spaces.nasbench201.closed_forms import nasbench201_expected_synflow

FUNCTIONS = {"nasbench101": nasbench101_expected_synflow, "nasbench201": nasbench201_expected_synflow}


@pytest.fixture(autouse=True)
def threads_as_before():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.benchmark(group="expected synflow of a whole space")
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_whole_space(benchmark, name, threads):
    torch.set_num_threads(threads)
    cells = space(name).enumerate()
    benchmark.pedantic(FUNCTIONS[name], (cells,), rounds=5, warmup_rounds=1)
    benchmark.extra_info["us_per_cell"] = measured(benchmark).median / len(cells) * 1e6


@pytest.mark.benchmark(group="expected synflow of a whole space")
def test_three_cells_in_plain_pytorch(benchmark):
    """Synflow of three NAS-Bench-101 networks: draw the weights, absolute values, forward, backward."""
    torch.set_num_threads(1)
    each = space("nasbench101")
    graphs = each.to_matrices(each.sample(3, torch.Generator().manual_seed(0)))
    options = dataclasses.asdict(each.network)
    generator = torch.Generator().manual_seed(0)

    def run():
        for matrix, names in graphs:
            networks.synflow(
                lambda weight: networks.nasbench101(matrix, names, weight, **options),  # noqa: B023
                networks.random_weights("kaiming_fan_out", generator),
            )

    benchmark.pedantic(run, rounds=3)


@pytest.mark.benchmark(group="zcfast score nasbench101, a process")
def test_process(benchmark, tmp_path):
    """Start to finished Parquet, and the peak memory of the process."""
    command = [sys.executable, "-m", "zcfast", "score", "nasbench101"]
    command += ["--proxies", "expected_synflow,params,flops", "--out", str(tmp_path / "scores.parquet")]
    peaks = []

    def run():
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        assert status == 0
        peaks.append(usage.ru_maxrss / 1024)

    benchmark.pedantic(run, rounds=3, warmup_rounds=1)
    benchmark.extra_info["peak_MiB"] = max(peaks)


@pytest.mark.benchmark(group="import")
@pytest.mark.parametrize("module", ["torch", "zcfast, zcfast.spaces, zcfast.scoring.space"])
def test_import(benchmark, module):
    def run():
        subprocess.check_call([sys.executable, "-c", f"import torch; import {module}"])

    benchmark.pedantic(run, rounds=5, warmup_rounds=1)
