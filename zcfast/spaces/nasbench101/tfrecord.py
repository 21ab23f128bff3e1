"""The TFRecord files of NAS-Bench-101's release: every training run of every cell.

Each record is JSON: [hash of the module, epochs, adjacency matrix as a text of 0 and 1, operations with commas between,
base64 of a ModelMetrics message]; google-research/nasbench, nasbench/api.py and nasbench/lib/model_metrics.proto.
"""

from __future__ import annotations

import binascii
import json
import math
import mmap
from array import array
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from zcfast import _tables
from zcfast.errors import first_line
from zcfast.spaces.nasbench101.cells import INPUT, MAX_VERTICES, OPERATIONS, OUTPUT, NasBench101Cells, slot
from zcfast.spaces.nasbench101.space import NasBench101
from zcfast.tables.metric import Metric
from zcfast.tables.table import Table, check_rows

COLUMNS = {"seconds": ("", "seconds"), "train": ("train", "fraction"), "valid": ("valid", "fraction")}
COLUMNS["test"] = ("test", "fraction")  # name -> split and unit, in the order of a ModelMetrics evaluation
LENGTHS = (4, 12, 36, 108)  # epochs of the runs in the full release
FULL = LENGTHS[-1]
MOST_RUNS = 8  # the release has three of a cell
MOST_BYTES = 1 << 16  # of a record; the release has about 2,000


def is_tfrecord(path: Path) -> bool:
    """Whether a file begins with a length and its checksum, as a TFRecord does."""
    if path.is_dir():
        return False
    with path.open("rb") as file:
        head = file.read(12)
    checksum = _tables.crc32c(head[:8])
    masked = ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF
    return head[8:] == int(masked).to_bytes(4, "little")


class _Runs:
    """What the records say, in their order: the cells without repetition and every run's numbers."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.cells: dict[str, tuple[int, int, list[int]]] = {}  # hash -> vertices, edges, operations
        self.numbers: dict[str, int] = {}
        self.cell, self.epochs, self.values = array("i"), array("i"), array("d")

    def add(self, record: bytes) -> None:
        digest, epochs, adjacency, operations, message = json.loads(record.decode())
        if not isinstance(digest, str):
            raise ValueError(f"the hash {digest!s:.40}")
        if epochs not in LENGTHS:
            raise ValueError(f"{epochs!s:.20} epochs")
        if digest not in self.numbers:
            self.cells[digest] = _cell(adjacency, operations)
            self.numbers[digest] = len(self.numbers)
            if len(self.numbers) > self.most:
                raise ValueError(f"more than the {self.most} cells of the space")
        evaluations = _tables.model_metrics(binascii.a2b_base64(message))
        if len(evaluations) < 3:  # before the training, half way and at its end
            raise ValueError(f"expected 3 evaluations, got {len(evaluations)}")
        self.cell.append(self.numbers[digest])
        self.epochs.append(epochs)
        self.values.extend(evaluations[2][1:])


def read(space: NasBench101, path: Path) -> Table:
    """All runs at the end of their training.

    Metrics: `test`, `valid` and `train` accuracy as a fraction and `seconds` of training after 108 epochs on CIFAR-10;
    `ep4_test` and so on after 4, 12 and 36 epochs where the file has them. The release does not say the seeds: runs are
    numbered 0, 1, 2 in the order of the file.

    Errors: ValueError for a damaged file, a record of other content, a hash that is not its cell's.
    """
    runs = _Runs(len(space))
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        spans = _tables.tfrecord_spans(content)
        for number, (start, size) in enumerate(spans.tolist()):
            try:
                if size > MOST_BYTES:
                    raise ValueError(f"{size} bytes")
                runs.add(content[start : start + size])
            except Exception as error:  # records of another form raise anything
                raise ValueError(
                    f"record {number}: expected a run of NAS-Bench-101, got {first_line(error)}"
                ) from error
    index = _index(space, runs.cells)
    metrics: dict[str, Metric] = {}
    epochs = np.array(runs.epochs)
    cells = index.numpy()[np.array(runs.cell)]
    values = np.array(runs.values).reshape(-1, len(COLUMNS))
    for length in sorted(set(runs.epochs), reverse=True):
        here = epochs == length
        metrics |= _metrics(length, cells[here], values[here], len(space))
    headline = tuple(name for name in metrics if name.endswith("test"))[:1]
    described = f"NAS-Bench-101: mean CIFAR-10 test accuracy of its runs after {metrics[headline[0]].epochs} epochs"
    return Table(space.name, metrics, headline, described)


def _metrics(epochs: int, cells: npt.NDArray[Any], values: npt.NDArray[Any], size: int) -> dict[str, Metric]:
    """Columns of all runs of one length: `cells` [M] are rows of the table, `values` [M, 4]."""
    order = np.argsort(cells, kind="stable")
    ordered = cells[order]
    first = np.flatnonzero(np.diff(ordered, prepend=-1))
    run = np.arange(len(ordered)) - np.repeat(first, np.diff(first, append=len(ordered)))
    runs = int(run.max()) + 1
    if runs > MOST_RUNS:
        raise ValueError(f"expected at most {MOST_RUNS} runs of a cell with {epochs} epochs, got {runs}")
    prefix = "" if epochs == FULL else f"ep{epochs}_"
    metrics = {}
    for column, (name, (split, unit)) in enumerate(COLUMNS.items()):
        matrix = np.full((runs, size), np.nan)
        matrix[run, ordered] = values[order, column]
        seeds = tuple(range(runs))
        metrics[prefix + name] = Metric(torch.from_numpy(matrix), "cifar10", split, epochs, unit, seeds)
    return metrics


def _cell(adjacency: str, operations: str) -> tuple[int, int, list[int]]:
    """Vertices, edge mask and operation codes of the texts in a record."""
    size, names = math.isqrt(len(adjacency)), operations.split(",")
    if size * size != len(adjacency) or not 2 <= size <= MAX_VERTICES or not set(adjacency) <= {"0", "1"}:
        raise ValueError(f"the adjacency matrix {adjacency[:60]!r}")
    if (names[0], names[-1], len(names)) != (INPUT, OUTPUT, size) or not set(names[1:-1]) <= set(OPERATIONS):
        raise ValueError(f"the operations {operations[:80]!r}")
    edges = 0
    for place, bit in enumerate(adjacency):
        if bit == "1":
            source, target = divmod(place, size)
            if source >= target:
                raise ValueError(f"an edge {source} -> {target} that does not lead on")
            edges |= 1 << slot(source, target)
    codes = [OPERATIONS.index(name) for name in names[1:-1]]
    return size, edges, codes + [-1] * (MAX_VERTICES - size)


def _index(space: NasBench101, cells: dict[str, tuple[int, int, list[int]]]) -> Tensor:
    """Row of every cell in the space, int64 [N]; checks that each hash is its cell's."""
    vertices, edges, operations = (list(column) for column in zip(*cells.values(), strict=True))
    batch = NasBench101Cells(
        vertices=torch.tensor(vertices, dtype=torch.int8),
        edges=torch.tensor(edges, dtype=torch.int32),
        operations=torch.tensor(operations, dtype=torch.int8),
    )
    index = space.index(batch)
    check_rows(index, space.name)
    for digest, came in zip(space.keys(batch).numpy(), cells, strict=True):
        if digest.tobytes().hex() != came:
            raise ValueError(f"expected the hash {digest.tobytes().hex()} with its cell, got {came[:40]!r}")
    return index
