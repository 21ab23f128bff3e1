"""Accuracies of NAS-Bench-201 (Dong & Yang 2020) and of its newer release, NATS-Bench."""

from __future__ import annotations

import numpy as np
import torch

from zcfast.spaces import NasBench201, NasBench201Cells
from zcfast.spaces.nasbench201 import EDGES, OPERATIONS
from zcfast.tables.archive import Archive
from zcfast.tables.table import Table, check_rows, scatter

EDGE_NAMES = tuple(f"{source}->{target}" for source, target in EDGES)
HEADLINE = ("test_cifar10", "test_cifar100", "test_imagenet16")
METRIC_PREFIXES = ("test_", "valid_", "valid1_", "ep12_test_", "ep12_valid_")


def read(space: NasBench201, archive: Archive) -> Table:
    """Accuracies in percent on CIFAR-10, CIFAR-100 and ImageNet16-120, means over the seeds that were run.

    Metrics: `test_<data>` and `valid_<data>` after 200 epochs in NATS-Bench, `test_<data>_nb201v1` in the first
    release of NAS-Bench-201, `valid1_<data>` of one seed, `ep12_*` after 12 epochs. Arrays: `ops` [N, 6] into
    `op_names`, on the edges of `edge_order`; every array [N] whose name starts like a metric's.
    """
    edges = [str(edge) for edge in archive.read("edge_order", "U", (len(EDGE_NAMES),))]
    if sorted(edges) != sorted(EDGE_NAMES):
        raise ValueError(f"array 'edge_order': expected {', '.join(EDGE_NAMES)}, got {', '.join(edges)}")
    operations = archive.operations(OPERATIONS, len(EDGE_NAMES))[:, [edges.index(edge) for edge in EDGE_NAMES]]
    cells = NasBench201Cells(torch.from_numpy(operations))
    index = space.index(cells)
    check_rows(index, space.name)
    missing = [name for name in HEADLINE if name not in archive.names]
    if missing:
        raise ValueError(f"expected arrays {', '.join(HEADLINE)}, got none named {', '.join(missing)}")
    metrics = {}
    for name in archive.names:
        if name.startswith(METRIC_PREFIXES):
            values = archive.read(name, "fiu", (len(operations),)).astype(np.float64)
            metrics[name] = scatter(index, torch.from_numpy(values), len(space))
    return Table(
        space=space.name,
        metrics=metrics,
        headline=HEADLINE,
        unit="percent",
        description="NAS-Bench-201: mean test accuracy after 200 epochs, as released with NATS-Bench",
    )
