"""Everything that only a machine with a GPU can say, into one JSON file.

    python -m bench.device [--out FILE] [--no-build] [--no-tests] [--cells 200]

From the repository's root, with the device extra installed and nvcc on PATH: `make device` sees to all but nvcc. It
builds the extension with CUDA, runs the test suite (which takes "cuda" too where there is one), compares every operator
with its result on the CPU, times it beside plain PyTorch and the device's copy bandwidth, and scores sampled cells with
TF32 off and on. What fails has its error in the file, and the rest goes on.
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
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from bench.device_cases import Case

ROOT = Path(__file__).resolve().parents[1]
REPEATS = 50
FLUSHED_BYTES = 1 << 28  # more than the second-level cache of any device
COPIED_BYTES = 1 << 30
PROXIES = ["grad_norm", "snip", "grasp", "fisher", "synflow", "jacob_cov"]


def to_device(value: Any, device: str) -> Any:
    """Tensors of any nesting on the device."""
    if isinstance(value, Tensor):
        return value.to(device)
    return type(value)(to_device(each, device) for each in value) if isinstance(value, (list, tuple)) else value


def difference(got: Any, expected: Any) -> float:
    """The largest difference relative to the largest magnitude of a result; 1 for integers that are not equal."""
    if isinstance(expected, tuple):
        return max(difference(a, b) for a, b in zip(got, expected, strict=True))
    got = got.cpu()
    if not expected.is_floating_point():
        return 0.0 if torch.equal(got, expected) else 1.0
    got, expected = got.double(), expected.double()
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


def measure(case: "Case", bandwidth: float) -> dict[str, Any]:
    """Compares with the CPU and times."""
    expected = case.ours(*case.arguments)
    on_device = to_device(case.arguments, "cuda")
    first, second = case.ours(*on_device), case.ours(*on_device)
    ours = median_microseconds(lambda: case.ours(*on_device))
    result = {
        "difference_from_cpu": difference(first, expected),
        "tolerance": case.tolerance,
        "same_bits_twice": difference(first, to_device(second, "cpu")) == 0,
        "microseconds": ours,
        "microseconds_in_a_graph": graph_microseconds(lambda: case.ours(*on_device)),
        "plain_pytorch_microseconds": median_microseconds(lambda: case.rival(*on_device)) / case.rival_share,
        "plain_pytorch_did": case.rival_share,
        "share_of_copy_bandwidth": case.bytes_moved / (1e-6 * ours) / bandwidth,
    }
    result["ok"] = result["difference_from_cpu"] <= case.tolerance and result["same_bits_twice"]
    return result


def attempted(name: str, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The result of some work under its name, or the error that it raised."""
    print(f"device: {name}", file=sys.stderr, flush=True)
    try:
        return {"name": name, **work()}
    except Exception as error:  # on the first run on a device anything may go wrong, and the rest is wanted
        return {"name": name, "ok": False, "error": f"{type(error).__name__}: {error}"}


def score_cells(count: int) -> dict[str, Any]:
    """Sampled NAS-Bench-101 cells with TF32 off and on: seconds, and how far the rankings agree."""
    import zcfast
    from zcfast.images import random_images

    space = zcfast.space("nasbench101")
    cells = space.sample(count, torch.Generator().manual_seed(0))
    images = random_images(64, (3, 32, 32), 10, 0)
    columns, seconds = {}, {}
    zcfast.score_architectures(space, PROXIES, cells[:1], images, device="cuda")  # starts cuDNN and cuBLAS
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
    reasons = {name: [text for text in texts if text] for name, texts in scores.reasons.items()}
    return {
        "cells": count,
        "seconds": seconds,
        "spearman_tf32_off_on": agreement,
        "reasons": reasons,
        "ok": not reasons,
    }


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
    summary = lines[-1] if lines else done.stderr[-500:]
    return {"status": done.returncode, "summary": summary, "failed": failed, "ok": done.returncode == 0}


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
    from bench.device_cases import cases

    properties = torch.cuda.get_device_properties(0)
    bandwidth = copy_bandwidth()
    operators = [attempted(case.name, lambda: measure(case, bandwidth)) for case in cases()]  # noqa: B023
    report = {
        "device": properties.name,
        "capability": f"{properties.major}.{properties.minor}",
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "copy_bytes_per_second": bandwidth,
        "operators": operators,
        "tests": None if options.no_tests else attempted("tests", run_tests),
        "scores": attempted("scores", lambda: score_cells(options.cells)),
    }
    name = re.sub(r"\W+", "-", properties.name).strip("-").lower()
    out = options.out or ROOT / "bench" / "results" / f"device-{name}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(report, indent=2) + "\n")
    print(f"written to {out}")
    parts = [*operators, report["tests"], report["scores"]]
    wrong = [part["name"] for part in parts if part is not None and not part["ok"]]
    if wrong:
        sys.exit(f"device: wrong: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
