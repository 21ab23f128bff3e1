"""NAS-Bench-Macro (Su et al. 2021): 6,561 chains of eight layers on CIFAR-10."""

from __future__ import annotations

from pathlib import Path

import torch

from zcfast.tables.json_files import read_json
from zcfast.tables.metric import Metric
from zcfast.tables.table import Table

RUNS = (0, 1, 2)


def read(benchmark: str, path: Path) -> Table:
    """The metric `test`: accuracy in percent of three runs, numbered in the order of the file.

    The file is JSON: name of eight digits -> a dict whose `test_acc` has three numbers.
    """
    content = read_json(path)
    names = tuple(sorted(content))
    values = torch.tensor([content[name]["test_acc"] for name in names], dtype=torch.float64)
    if not names or values.shape != (len(names), len(RUNS)):
        raise ValueError(f"expected {len(RUNS)} runs an architecture, got {list(values.shape)}")
    metric = Metric(values.T.contiguous(), "cifar10", "test", None, "percent", RUNS).bounded()
    about = "NAS-Bench-Macro: mean CIFAR-10 test accuracy of 3 runs"
    return Table(benchmark, {"test": metric}, ("test",), about, names)
