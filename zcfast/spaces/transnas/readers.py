"""TransNAS-Bench-101 (Duan et al. 2021): seven tasks, a micro space of cells and a macro space of chains."""

from __future__ import annotations

import re
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


# Architectures as the files name them: base channels, what each module does, and what a module is.
KINDS = {
    "micro": re.compile(r"\d+-[1-4]+-[0-3]_[0-3]{2}_[0-3]{3}"),  # a cell of its own
    "macro": re.compile(r"\d+-[1-4]+-basic"),
}


def read(benchmark: str, path: Path) -> Table:
    """A metric for each task, its name; higher is better. The files say neither split nor epochs.

    Files are JSON lists of [architecture, value], one a task, named after it: `micro_jigsaw.json.gz`. `path` is one of
    them or a directory of them. Which space a file is of its architectures say: there are files around whose names have
    micro and macro the wrong way round.
    """
    kind = benchmark.removeprefix("transnas_")
    values: dict[str, dict[str, float]] = {}
    for file in [path] if path.is_file() else sorted(path.glob("m?cro_*.json*")):
        task = _task(file)
        known = {} if task is None else _values(file)
        if task is not None and known and all(map(KINDS[kind].fullmatch, known)):
            if task in values:
                raise ValueError(f"{file.name}: expected one file of {kind} architectures for {task}, got another one")
            values[task] = known
    if not values:
        files = f"files {' or '.join(f'{each}_<task>.json' for each in KINDS)}, or .json.gz, of {kind} architectures"
        raise ValueError(f"expected {files}, task one of {', '.join(UNITS)}, got none")
    names = tuple(sorted(set().union(*values.values())))
    metrics = {}
    for task, known in values.items():
        column = torch.tensor([known.get(name, torch.nan) for name in names], dtype=torch.float64)
        metrics[task] = Metric(column[None], task, "", None, UNITS[task]).bounded()
    about = f"TransNAS-Bench-101, {kind} space: {', '.join(metrics)}"
    return Table(benchmark, metrics, tuple(metrics), about, names)


def _task(file: Path) -> str | None:
    """The task that the name of a file says."""
    names = {f"{kind}_{task}{suffix}": task for kind in KINDS for task in UNITS for suffix in (".json", ".json.gz")}
    return names.get(file.name)


def _values(file: Path) -> dict[str, float]:
    pairs = read_json(file)
    values = {str(name): float(value) for name, value in pairs}
    if len(values) != len(pairs):
        raise ValueError(
            f"{file.name}: expected different architectures, got {len(pairs)}, of them {len(values)} different"
        )
    return values
