"""Accuracies of NAS-Bench-101 (Ying et al. 2019)."""

from __future__ import annotations

import numpy as np
import torch

from zcfast.npz import Archive
from zcfast.spaces.nasbench101.cells import MAX_VERTICES, OPERATIONS, SLOTS, NasBench101Cells
from zcfast.spaces.nasbench101.space import NasBench101
from zcfast.tables.metric import Metric
from zcfast.tables.table import Table, check_rows, scatter

RUNS, TEST_IMAGES = 3, 9984


def read(space: NasBench101, archive: Archive) -> Table:
    """Mean test accuracy on CIFAR-10 of three runs of 108 epochs, as a fraction: the metric "test".

    Arrays: `vertices` [N], `adj_bits` [N] (bit x + y(y-1)/2 is the edge x -> y), `ops` [N, 5] into `op_names`,
    `test_correct_sum` [N]: right answers on the 9,984 test images, summed over the runs. Any order of the rows and of
    the vertices.
    """
    vertices = archive.integers("vertices", (None,), 2, MAX_VERTICES)
    size = len(vertices)
    edges = archive.integers("adj_bits", (size,), 0, 2**SLOTS - 1)
    correct = archive.integers("test_correct_sum", (size,), 0, RUNS * TEST_IMAGES)
    operations = archive.operations(OPERATIONS, 5)
    if len(operations) != size:
        raise ValueError(f"array 'ops': expected {size} rows, got {len(operations)}")
    cells = NasBench101Cells(
        vertices=torch.from_numpy(vertices.astype(np.int8)),
        edges=torch.from_numpy(edges.astype(np.int32)),
        operations=torch.from_numpy(operations),
    )
    index = space.index(cells)
    check_rows(index, space.name)
    accuracy = torch.from_numpy(correct.astype(np.float64)) / (RUNS * TEST_IMAGES)
    values = scatter(index, accuracy, len(space))[None]
    return Table(
        space=space.name,
        metrics={"test": Metric(values, dataset="cifar10", split="test", epochs=108, unit="fraction")},
        headline=("test",),
        description="NAS-Bench-101: mean CIFAR-10 test accuracy of 3 runs after 108 epochs",
    )
