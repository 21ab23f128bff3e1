"""Accuracies of NAS-Bench-201 (Dong & Yang 2020) and of its newer release, NATS-Bench."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from zcfast.tables.archive import Archive
from zcfast.tables.table import Table, check_rows, scatter

if TYPE_CHECKING:
    from zcfast.spaces import SearchSpace

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
EDGES = ("0->1", "0->2", "1->2", "0->3", "1->3", "2->3")
HEADLINE = ("test_cifar10", "test_cifar100", "test_imagenet16")
METRIC_PREFIXES = ("test_", "valid_", "valid1_", "ep12_test_", "ep12_valid_")


def read(space: SearchSpace[Any], archive: Archive) -> Table:
    """Accuracies in percent on CIFAR-10, CIFAR-100 and ImageNet16-120, means over the seeds that were run.

    Metrics: `test_<data>` and `valid_<data>` after 200 epochs in NATS-Bench, `test_<data>_nb201v1` in the first
    release of NAS-Bench-201, `valid1_<data>` of one seed, `ep12_*` after 12 epochs. Arrays: `ops` [N, 6] into
    `op_names`, on the edges of `edge_order`; every array [N] whose name starts like a metric's.
    """
    edges = [str(edge) for edge in archive.read("edge_order", "U", (len(EDGES),))]
    if sorted(edges) != sorted(EDGES):
        raise ValueError(f"array 'edge_order': expected {', '.join(EDGES)}, got {', '.join(edges)}")
    operations = archive.operations(OPERATIONS, len(EDGES))[:, [edges.index(edge) for edge in EDGES]]
    cells = dataclasses.replace(space.enumerate()[:0], operations=torch.from_numpy(operations))
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
