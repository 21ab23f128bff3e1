"""Published errors of pretrained models by their pytorchcv names."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import torch

from zcfast.errors import first_line
from zcfast.files import read_bytes
from zcfast.tables.metric import Metric
from zcfast.tables.table import Table

GROWTH = 512  # bytes that one byte of the file can become: a dictionary for each line
DATASETS = {"ImageNet-1K": "imagenet1k", "CIFAR-10": "cifar10", "CIFAR-100": "cifar100", "SVHN": "svhn"}
# ImageNet's errors are those of its validation images, for the test labels are not public.
SPLITS = {"imagenet1k": "valid", "cifar10": "test", "cifar100": "test", "svhn": "test"}


def read(benchmark: str, path: Path) -> Table:
    """Errors in percent as `top1_error_<data>` and `top5_error_imagenet1k`, NaN for other data sets; lower is better.

    The file is CSV with the columns dataset, model_name, top1_error and top5_error, an empty field where unknown.
    """
    try:
        text = read_bytes(path, GROWTH).decode()
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
    except Exception as error:  # libraries raise anything for damaged bytes
        raise ValueError(f"expected a CSV file, got {first_line(error)}") from error
    names = tuple(dict.fromkeys(row["model_name"] for row in rows))
    place = {name: number for number, name in enumerate(names)}
    columns: dict[str, torch.Tensor] = {}
    for row in rows:
        dataset = DATASETS[row["dataset"]]
        for error_name in ("top1_error", "top5_error"):
            if row[error_name]:
                label = f"{error_name}_{dataset}"
                column = columns.setdefault(label, torch.full((len(names),), torch.nan, dtype=torch.float64))
                if not column[place[row["model_name"]]].isnan():
                    raise ValueError(f"the model {row['model_name'][:40]!r} twice for {row['dataset']}")
                column[place[row["model_name"]]] = float(row[error_name])
    if not columns:
        raise ValueError("expected errors of models, got none")
    metrics = {}
    for label, column in columns.items():
        dataset = label.rsplit("_", 1)[1]
        metrics[label] = Metric(column[None], dataset, SPLITS[dataset], None, "percent").bounded()
    headline = tuple(label for label in metrics if label.startswith("top1_"))
    return Table(benchmark, metrics, headline, "pytorchcv: published errors in percent; lower is better", names)
