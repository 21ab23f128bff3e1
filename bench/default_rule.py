"""What the default of zcfast.design loses on real accuracies, with and without its second stage, as Markdown.

    python -m bench.default_rule [directory of finished scores]

Needs the accuracies, latencies and pictures of tests/shared.py. One thread; half an hour.
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
from tests.shared import DATA

PICTURES = 32
SETS = {"test_cifar10": "cifar10_1000", "test_cifar100": "cifar100_1000", "test_imagenet16": "imagenet16_120_sample"}


def lost(found: zcfast.designing.Design, accuracies: Tensor, allowed: Tensor) -> tuple[float, float]:
    """Points of accuracy that the first pick and the best of ten lose against the best within the limit."""
    best, picks = accuracies[allowed].max(), accuracies[found.rows[:10]]
    return float(best - picks[0]), float(best - picks.max())


def compared(
    title: str, space: str, accuracies: Tensor, limits: Mapping[str, tuple[Tensor, float]], **given: Any
) -> None:
    """A line a limit, and one of their mean: the first stage alone, and both."""
    both = []
    for name, limit in limits.items():
        asked = {} if limit[1] == float("inf") else {"limits": {"cost": limit}}
        found = zcfast.design(space, **asked, **given)
        alone = zcfast.design(space, by="path_rank", **asked)
        allowed = limit[0] <= limit[1]
        each = *lost(alone, accuracies, allowed), *lost(found, accuracies, allowed)
        both.append(each)
        line(f"{title}, {name}", each)
    line(f"**{title}, mean of {len(both)}**", [float(np.mean(column)) for column in zip(*both, strict=True)])


def line(title: str, numbers: Any) -> None:
    row(title, *("{:.2f} / {:.2f}".format(*numbers[start : start + 2]) for start in (0, 2)))


def main(parts: str) -> None:
    row("set", "first stage: first / best of ten", "both stages")
    row("---", "---:", "---:")
    latency = {
        name: torch.from_numpy(column).double()
        for name, column in np.load(DATA / "latency/nasbench201_ms.npz").items()
        if name in LATENCIES
    }
    table = zcfast.table("nasbench201", DATA / "nasbench201/accuracies.npz")
    limits = {f"{device} {ms} ms": (latency[device], float(ms)) for device, each in LATENCIES.items() for ms in each}
    for name, file in SETS.items():
        images = zcfast.load_images(DATA / f"images/{file}.npz", PICTURES, seed=0)
        compared(f"NAS-Bench-201 {name}", "nasbench201", table[name], limits, images=images, parts=parts, workers=1)
        if name == "test_cifar10":
            nasbench101(images, parts)


def nasbench101(images: Any, parts: str) -> None:
    test = 100 * zcfast.table("nasbench101", DATA / "nasbench101/accuracies.npz")["test"]
    flops = zcfast.score_space("nasbench101", ["flops"])["flops"].double()
    limits = {f"FLOPs up to quantile {q}": (flops, float(np.quantile(flops.numpy(), q))) for q in QUANTILES}
    limits["no limit"] = (flops, float("inf"))
    compared("NAS-Bench-101", "nasbench101", test, limits, images=images, parts=parts, workers=1, stem_channels=32)


if __name__ == "__main__":
    torch.set_num_threads(1)
    if len(sys.argv) > 1:
        main(str(Path(sys.argv[1]).resolve()))
    else:
        with tempfile.TemporaryDirectory() as directory:
            main(directory)
