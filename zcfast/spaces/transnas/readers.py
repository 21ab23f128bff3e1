"""TransNAS-Bench-101 (Duan et al. 2021): seven tasks, a micro space of cells and a macro space of chains."""

from __future__ import annotations

from pathlib import Path

import torch

from zcfast.tables.json_files import read_json
from zcfast.tables.metric import Metric
from zcfast.tables.table import Table

UNITS = {
    "class_scene": "percent",
    "class_object": "percent",
    "room_layout": "negative loss",
    "jigsaw": "percent",
    "segmentsemantic": "percent mIoU",
    "normal": "SSIM",
    "autoencoder": "SSIM",
}


def read(benchmark: str, path: Path) -> Table:
    """A metric for each task, its name; higher is better. The files say neither split nor epochs.

    Files are JSON lists of [architecture, value], one a task, named after it: `micro_jigsaw.json.gz`. `path` is one of
    them or a directory of them.
    """
    kind = benchmark.removeprefix("transnas_")
    values: dict[str, dict[str, float]] = {}
    for task in UNITS:
        for file in [path] if path.is_file() else [path / f"{kind}_{task}{suffix}" for suffix in (".json.gz", ".json")]:
            if file.name.startswith(f"{kind}_{task}.") and file.is_file():
                values[task] = _values(file)
    if not values:
        tasks = ", ".join(UNITS)
        raise ValueError(f"expected files {kind}_<task>.json or .json.gz, task one of {tasks}, got none")
    names = tuple(sorted(set().union(*values.values())))
    metrics = {}
    for task, known in values.items():
        column = torch.tensor([known.get(name, torch.nan) for name in names], dtype=torch.float64)
        metrics[task] = Metric(column[None], task, "", None, UNITS[task])
    about = f"TransNAS-Bench-101, {kind} space: {', '.join(metrics)}"
    return Table(benchmark, metrics, tuple(metrics), about, names)


def _values(file: Path) -> dict[str, float]:
    pairs = read_json(file)
    values = {str(name): float(value) for name, value in pairs}
    if not values or len(values) != len(pairs):
        raise ValueError(
            f"{file.name}: expected different architectures, got {len(pairs)}, of them {len(values)} different"
        )
    return values
