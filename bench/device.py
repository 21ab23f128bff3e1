"""Everything that only a machine with a GPU can say, into one JSON file.

    python -m bench.device [--out FILE] [--no-build] [--no-tests] [--cells 200]

From the repository's root, with the test extra installed and nvcc on PATH. It builds the extension with CUDA, runs the
test suite (the operators' tests run on "cuda" too where there is one), compares every operator with its result on the
CPU, times it beside plain PyTorch and the device's copy bandwidth, and scores sampled cells with TF32 off and on.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

ROOT = Path(__file__).resolve().parents[1]
REPEATS = 50
FLUSHED_BYTES = 1 << 28  # more than the second-level cache of any device
COPIED_BYTES = 1 << 30
PROXIES = ["grad_norm", "snip", "grasp", "fisher", "synflow", "jacob_cov"]
KINDS = ("abs_product", "product", "square")
# Of the magnitudes; csrc/cuda says where float32 sums come in.
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-12, torch.bfloat16: 4e-6, torch.float16: 4e-6}


@dataclass(frozen=True)
class Case:
    """An operator on arguments, its rival in plain PyTorch, and the bytes that have to move at least."""

    name: str
    ours: Callable[..., Any]
    rival: Callable[..., Any] | None
    arguments: tuple[Any, ...]
    bytes_moved: int
    tolerance: float


def to_device(value: Any, device: str) -> Any:
    """Tensors of any nesting on the device."""
    if isinstance(value, Tensor):
        return value.to(device)
    return type(value)(to_device(each, device) for each in value) if isinstance(value, (list, tuple)) else value


def size_of(value: Any) -> int:
    """Bytes of all tensors in it."""
    if isinstance(value, Tensor):
        return value.numel() * value.element_size()
    return sum(map(size_of, value)) if isinstance(value, (list, tuple)) else 0


def saliency_cases() -> list[Case]:
    from bench.bench_reductions import resnet50_weights, saliency_loop
    from zcfast import ops

    cases = []
    for dtype in (torch.float32, torch.bfloat16):
        weights, grads = ([torch.randn(shape).to(dtype) for shape in resnet50_weights()] for _ in range(2))
        name = f"saliency_reduce, 3 kinds, ResNet-50, {dtype}"
        rival: Callable[..., Any] = lambda w, g, kinds: saliency_loop(w, g)  # noqa: E731
        arguments = (weights, grads, KINDS)
        cases.append(Case(name, ops.saliency_reduce, rival, arguments, size_of(arguments), TOLERANCE[dtype]))
    return cases


def fisher_cases() -> list[Case]:
    from zcfast import ops

    def rival(activation: Tensor, gradient: Tensor, channel: int) -> Tensor:
        return 0.5 * (activation * gradient).sum((2, 3)).square().mean(0)

    cases = []
    for dtype in (torch.float32, torch.bfloat16):
        for layout in (torch.contiguous_format, torch.channels_last):
            pair = tuple(torch.randn(64, 128, 32, 32).to(dtype, memory_format=layout) for _ in range(2))
            name = f"fisher_reduce, 64 x 128 x 32 x 32, {dtype}, {layout}"
            # A signed sum of 1,024 numbers, squared: relative to itself it is less exact than to the magnitudes.
            cases.append(Case(name, ops.fisher_reduce, rival, (*pair, 1), size_of(pair), 1e3 * TOLERANCE[dtype]))
    return cases


def jacobian_cases() -> list[Case]:
    from zcfast import ops, reference

    cases = []
    for rows in (64, 512):
        jacobian = torch.randn(rows, 3072)
        name = f"jacobian_correlation, {rows} x 3072, torch.float32"
        rival = reference.jacobian_correlation
        cases.append(Case(name, ops.jacobian_correlation, rival, (jacobian,), size_of(jacobian), 1e-9))
    return cases


def cell_cases() -> list[Case]:
    from zcfast import _tables, space, space_ops

    cells = space("nasbench101").enumerate()
    encoding = (cells.vertices, cells.edges, cells.operations)
    arrays = _tables.nasbench101()
    names = ("lookup", "orders", "class_first", "class_orbits", "orbits")
    tables = [torch.from_numpy(arrays[name]) for name in names]
    count = len(cells)
    return [
        Case("nasbench101_index, all cells", space_ops.nasbench101_index, None, (*encoding, tables), 19 * count, 0),
        Case(
            "nasbench101_neighbours, all cells",
            space_ops.nasbench101_neighbours,
            None,
            (*encoding, tables, 2),
            (10 + 4 * 31 + 8) * count,
            0,
        ),
    ]


def difference(got: Any, expected: Any) -> float:
    """The largest relative difference, of the largest magnitude of a result."""
    if isinstance(expected, tuple):
        return max(difference(a, b) for a, b in zip(got, expected, strict=True))
    got, expected = got.cpu().double(), expected.double()
    scale = expected.abs().max().clamp_min(torch.finfo(torch.float64).tiny)
    return float((got - expected).abs().max() / scale)


def median_microseconds(compute: Callable[[], Any]) -> float:
    """By events of the device, behind a write of more than its cache each time."""
    flush = torch.empty(FLUSHED_BYTES, dtype=torch.uint8, device="cuda")
    compute()
    times = []
    for _ in range(REPEATS):
        flush.zero_()
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        compute()
        end.record()
        end.synchronize()
        times.append(1e3 * begin.elapsed_time(end))
    return statistics.median(times)


def copy_bandwidth() -> float:
    """Bytes a second, read and written, of the device's own copy."""
    source = torch.empty(COPIED_BYTES, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    return 2 * COPIED_BYTES / (1e-6 * median_microseconds(lambda: target.copy_(source)))


def graph_microseconds(compute: Callable[[], Any]) -> float:
    """The operator captured as a CUDA graph; an error if it synchronises or allocates behind the allocator's back."""
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        compute()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        compute()
    return median_microseconds(graph.replay)


def measure(case: Case, bandwidth: float) -> dict[str, Any]:
    """Compares with the CPU and times."""
    expected = case.ours(*case.arguments)
    on_device = to_device(case.arguments, "cuda")
    first, second = case.ours(*on_device), case.ours(*on_device)
    ours = median_microseconds(lambda: case.ours(*on_device))
    result = {
        "name": case.name,
        "difference_from_cpu": difference(first, expected),
        "tolerance": case.tolerance,
        "same_bits_twice": difference(first, to_device(second, "cpu")) == 0,
        "microseconds": ours,
        "microseconds_in_a_graph": graph_microseconds(lambda: case.ours(*on_device)),
        "rival_microseconds": None,
        "share_of_copy_bandwidth": case.bytes_moved / (1e-6 * ours) / bandwidth,
    }
    if case.rival is not None:
        rival = case.rival
        result["rival_microseconds"] = median_microseconds(lambda: rival(*on_device))
    result["ok"] = result["difference_from_cpu"] <= case.tolerance and result["same_bits_twice"]
    return result


def score_cells(count: int) -> dict[str, Any]:
    """Sampled NAS-Bench-101 cells with TF32 off and on: seconds, and how far the rankings agree."""
    import zcfast
    from zcfast.images import random_images

    space = zcfast.space("nasbench101")
    cells = space.sample(count, torch.Generator().manual_seed(0))
    images = random_images(64, (3, 32, 32), 10, 0)
    columns, seconds = {}, {}
    for tf32 in (False, True):
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
        started = time.perf_counter()
        scores = zcfast.score_architectures(space, PROXIES, cells, images, device="cuda")
        torch.cuda.synchronize()
        seconds[f"tf32_{tf32}".lower()] = time.perf_counter() - started
        columns[tf32] = {name: scores[name] for name in scores.columns}
    from scipy.stats import spearmanr

    agreement = {
        name: float(spearmanr(column, columns[True][name], nan_policy="omit")[0])
        for name, column in columns[False].items()
    }
    return {"cells": count, "seconds": seconds, "spearman_tf32_off_on": agreement}


def build() -> None:
    """The extension in place, with CUDA."""
    command = [sys.executable, "setup.py", "build_ext", "--inplace"]
    subprocess.run(command, cwd=ROOT, check=True, env={**os.environ, "ZCFAST_CUDA": "on"})


def run_tests() -> dict[str, Any]:
    """The suite's exit status and last line."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "tests"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    failed = [line for line in lines if re.match(r"(FAILED|ERROR) ", line)]
    return {"status": done.returncode, "summary": lines[-1] if lines else done.stderr[-500:], "failed": failed}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="default: bench/results/device-NAME.json")
    parser.add_argument("--no-build", action="store_true", help="the extension is built already")
    parser.add_argument("--no-tests", action="store_true", help="leave out the test suite")
    parser.add_argument("--cells", type=int, default=200, help="architectures to score")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("device: expected a CUDA device, PyTorch finds none here; nothing was built or run")
    if not options.no_build:
        build()
    import zcfast._native  # noqa: F401  after the build

    if not torch.ops.zcfast.cuda_built():
        sys.exit("device: expected an extension built with CUDA (ZCFAST_CUDA=on), got one for the CPU only")
    properties = torch.cuda.get_device_properties(0)
    bandwidth = copy_bandwidth()
    cases = [*saliency_cases(), *fisher_cases(), *jacobian_cases(), *cell_cases()]
    report = {
        "device": properties.name,
        "capability": f"{properties.major}.{properties.minor}",
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "copy_bytes_per_second": bandwidth,
        "operators": [measure(case, bandwidth) for case in cases],
        "tests": None if options.no_tests else run_tests(),
        "scores": score_cells(options.cells),
    }
    name = re.sub(r"\W+", "-", properties.name).strip("-").lower()
    out = options.out or ROOT / "bench" / "results" / f"device-{name}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(report, indent=2) + "\n")
    print(f"written to {out}")
    wrong = [each["name"] for each in report["operators"] if not each["ok"]]
    if wrong or (report["tests"] and report["tests"]["status"]):
        sys.exit(f"device: wrong: {wrong or 'tests'}")


if __name__ == "__main__":
    main()
