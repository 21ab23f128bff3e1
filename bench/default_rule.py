"""What the default of zcfast.design loses on real accuracies, with and without its second stage, as Markdown.

    python -m bench.default_rule [directory of finished scores]

Needs the accuracies, latencies and pictures of tests/shared.py. One thread; an hour.
"""

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import zcfast
from bench.picks import LATENCIES, QUANTILES, row
from bench.transnas import macro, micro
from tests.shared import DATA
from zcfast.order import spread

PICTURES = 32  # of CIFAR-10, for all accuracies
NAMES = ("test_cifar10", "test_cifar100", "test_imagenet16")


def lost(found: zcfast.designing.Design, accuracies: Tensor, allowed: Tensor) -> tuple[float, float]:
    """Points of accuracy that the first pick and the best of ten lose against the best within the limit."""
    best, picks = accuracies[allowed].max(), accuracies[found.rows[:10]]
    return float(best - picks[0]), float(best - picks.max())


def compared(
    space: Any,
    reached: Mapping[str, Tensor],
    limits: Mapping[str, tuple[Tensor, float]],
    by: Any = "path_rank",
    **given: Any,
) -> None:
    """For each kind of accuracy a line a limit, and one of their mean: the first stage alone, and both."""
    numbers: dict[str, list[tuple[float, ...]]] = {title: [] for title in reached}
    for name, limit in limits.items():
        found = zcfast.design(space, limits={"cost": limit}, **given)
        alone = zcfast.design(space, by=by, limits={"cost": limit})
        allowed = limit[0] <= limit[1]
        for title, column in reached.items():
            numbers[title].append((*lost(alone, column, allowed), *lost(found, column, allowed)))
            line(f"{title}, {name}", numbers[title][-1])
    for title, each in numbers.items():
        line(f"**{title}, mean of {len(each)}**", [float(np.mean(column)) for column in zip(*each, strict=True)])


def line(title: str, numbers: Any) -> None:
    row(title, *("{:.2f} / {:.2f}".format(*numbers[start : start + 2]) for start in (0, 2)))


def nasbench201(given: dict[str, Any]) -> None:
    found = np.load(DATA / "latency/nasbench201_ms.npz")
    latency = {name: torch.from_numpy(found[name]).double() for name in LATENCIES}
    table = zcfast.table("nasbench201", DATA / "nasbench201/accuracies.npz")
    limits = {f"{device} {ms} ms": (latency[device], float(ms)) for device, each in LATENCIES.items() for ms in each}
    compared("nasbench201", {f"NAS-Bench-201 {name}": table[name] for name in NAMES}, limits, **given)


def quantiles(flops: Tensor, column: Tensor | None = None) -> dict[str, tuple[Tensor, float]]:
    """FLOPs limits by name: quantiles of the numbers, and the largest."""
    column = flops if column is None else column
    return {f"FLOPs up to quantile {q}": (column, float(np.quantile(flops.numpy(), q))) for q in (*QUANTILES, 1)}


def nasbench101(given: dict[str, Any]) -> None:
    test = 100 * zcfast.table("nasbench101", DATA / "nasbench101/accuracies.npz")["test"]
    flops = zcfast.score_space("nasbench101", ["flops"])["flops"].double()
    compared("nasbench101", {"NAS-Bench-101": test}, quantiles(flops), stem_channels=32, **given)


def transnas_micro(given: dict[str, Any]) -> None:
    """Sizes and networks are those of NAS-Bench-201 with the same cells."""
    rows, reached = micro()
    flops = zcfast.score_space("nasbench201", ["flops"])["flops"].double()
    column = spread(flops[rows], rows, len(flops))
    columns = {f"TransNAS micro {task}": spread(each, rows, len(flops)) for task, each in reached.items()}
    compared("nasbench201", columns, quantiles(flops[rows], column), **given)


def transnas_macro(given: dict[str, Any]) -> None:
    """A space without path_rank, so that the first stage is flops and params."""
    space, reached = macro()
    flops = space.capability(zcfast.spaces.Sizes).flops(space.enumerate()).double()
    columns = {f"TransNAS macro {task}": each for task, each in reached.items()}
    compared(space, columns, quantiles(flops), by=("flops", "params"), parts=given["parts"], workers=given["workers"])


def main(parts: str) -> None:
    row("set", "first stage: first / best of ten", "both stages")
    row("---", "---:", "---:")
    given = {
        "images": zcfast.load_images(DATA / "images/cifar10_1000.npz", PICTURES, seed=0),
        "parts": parts,
        "workers": 1,
    }
    for each in (nasbench201, nasbench101, transnas_micro, transnas_macro):
        each(given)


if __name__ == "__main__":
    torch.set_num_threads(1)
    if len(sys.argv) > 1:
        main(str(Path(sys.argv[1]).resolve()))
    else:
        with tempfile.TemporaryDirectory() as directory:
            main(directory)
