"""Accuracies of NAS-Bench-201 (Dong & Yang 2020) and of its newer release, NATS-Bench."""

from __future__ import annotations

import re

import numpy as np
import torch

from zcfast.npz import Archive
from zcfast.spaces.nasbench201.cells import EDGES, OPERATIONS, NasBench201Cells
from zcfast.spaces.nasbench201.space import NasBench201
from zcfast.tables.metric import Metric
from zcfast.tables.table import Table, check_rows, scatter

EDGE_NAMES = tuple(f"{source}->{target}" for source, target in EDGES)
HEADLINE = ("test_cifar10", "test_cifar100", "test_imagenet16")
METRIC_NAME = re.compile(r"(seeds_)?(ep12_)?(test|valid)(1?)_(cifar10|cifar100|imagenet16)(_nb201v1)?")
RUNS = (0, 1, 2)


def read(space: NasBench201, archive: Archive) -> Table:
    """Accuracies in percent on CIFAR-10, CIFAR-100 and ImageNet16-120, means over the seeds that were run.

    Metrics: `test_<data>` and `valid_<data>` after 200 epochs in NATS-Bench, `test_<data>_nb201v1` in the first
    release of NAS-Bench-201, `valid1_<data>` of one seed, `ep12_*` after 12 epochs, `seeds_<metric>` the single runs,
    numbered 0 to 2. Arrays: `ops` [N, 6] into `op_names`, on the edges of `edge_order`; every array [N], or
    [N, 3] of single runs, whose name is a metric's.
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
    metrics = {name: _metric(archive, name, index, len(space)) for name in archive.names if METRIC_NAME.fullmatch(name)}
    return Table(
        space=space.name,
        metrics=metrics,
        headline=HEADLINE,
        description="NAS-Bench-201: mean test accuracy after 200 epochs, as released with NATS-Bench",
    )


def _metric(archive: Archive, name: str, index: torch.Tensor, size: int) -> Metric:
    match = METRIC_NAME.fullmatch(name)
    assert match
    single, short, split, _, dataset, _ = match.groups()
    shape = (len(index), len(RUNS)) if single else (len(index),)
    rows = torch.from_numpy(archive.read(name, "fiu", shape).astype(np.float64)).reshape(len(index), -1).T
    return Metric(
        torch.stack([scatter(index, row, size) for row in rows]),
        dataset=dataset,
        split=split,
        epochs=12 if short else 200,
        unit="percent",
        seeds=RUNS if single else (),
    )
