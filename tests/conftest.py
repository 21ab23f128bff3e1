"""Small stand-ins for search spaces, so that these tests need no enumeration and no release."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import os
from pathlib import Path

import pytest
import torch
from torch import Tensor

import zcfast
from zcfast.errors import unknown
from zcfast.scores import Scores

DATA = Path(os.environ.get("ZCFAST_DATA", Path(__file__).parents[2] / "shared" / "data"))


@dataclasses.dataclass(frozen=True)
class SmallCells:
    """The part of a batch of cells that every space shares."""

    def __len__(self) -> int:
        return len(self.operations)

    def tensors(self) -> dict[str, Tensor]:
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def __getitem__(self, rows):
        return type(self)(**{name: tensor[rows] for name, tensor in self.tensors().items()})


@dataclasses.dataclass(frozen=True)
class GraphCells(SmallCells):
    vertices: Tensor
    edges: Tensor
    operations: Tensor


@dataclasses.dataclass(frozen=True)
class EdgeCells(SmallCells):
    operations: Tensor


class SmallSpace:
    """Rows of encodings, looked up by a dictionary."""

    source = "a test"

    def __len__(self) -> int:
        return len(self.enumerate())

    @property
    def classes(self) -> int:
        return len(self)

    def index(self, cells) -> Tensor:
        rows = {row: place for place, row in enumerate(self._rows(self.enumerate()))}
        return torch.tensor([rows.get(row, -1) for row in self._rows(cells)], dtype=torch.int64)

    def parse(self, names):
        rows = {name: place for place, name in enumerate(self.format(self.enumerate()))}
        wrong = [name for name in names if name not in rows]
        if wrong:
            raise ValueError(f"not an architecture: {wrong[0]}")
        return self.enumerate()[torch.tensor([rows[name] for name in names])]

    def _rows(self, cells):
        columns = [tensor.long().reshape(len(cells), -1 if len(cells) else 1) for tensor in cells.tensors().values()]
        return [tuple(row) for row in torch.cat(columns, 1).tolist()]


class Small101(SmallSpace):
    """One graph with three inner vertices, all 27 labellings: 0->1, 1->2, 0->3, 2->3, 1->4, 3->4."""

    name, title = "nasbench101", "NAS-Bench-101"

    def enumerate(self) -> GraphCells:
        edges = sum(1 << (x + y * (y - 1) // 2) for x, y in ((0, 1), (1, 2), (0, 3), (2, 3), (1, 4), (3, 4)))
        operations = torch.tensor([[*row, -1, -1] for row in itertools.product(range(3), repeat=3)], dtype=torch.int8)
        size = len(operations)
        vertices = torch.full((size,), 5, dtype=torch.int8)
        return GraphCells(vertices, torch.full((size,), edges, dtype=torch.int32), operations)

    def keys(self, cells) -> Tensor:
        digests = [list(hashlib.md5(str(row).encode()).digest()) for row in self._rows(cells)]
        return torch.tensor(digests, dtype=torch.uint8).reshape(-1, 16)

    def format(self, cells) -> list[str]:
        return ["".join(map(str, row)) for row in cells.operations[:, :3].tolist()]


class Small201(SmallSpace):
    """The 64 architectures whose last three edges are `none` and whose others are not `none`."""

    name, title = "nasbench201", "NAS-Bench-201"

    def enumerate(self) -> EdgeCells:
        rows = [[*row, 0, 0, 0] for row in itertools.product(range(1, 5), repeat=3)]
        return EdgeCells(torch.tensor(rows, dtype=torch.int8))

    def keys(self, cells) -> Tensor:
        return self.index(cells)

    def format(self, cells) -> list[str]:
        return ["|" + "~".join(map(str, row)) + "|" for row in cells.operations.tolist()]


SPACES = {space.name: space for space in (Small101(), Small201())}


def small_space(name: str) -> SmallSpace:
    if name not in SPACES:
        raise unknown("search space", name, SPACES)
    return SPACES[name]


@pytest.fixture(autouse=True)
def small_spaces(monkeypatch, request):
    """Put the stand-ins in place of the real spaces."""
    if "real_spaces" not in request.keywords:
        monkeypatch.setattr(zcfast, "space", small_space, raising=False)


@pytest.fixture(params=["nasbench101", "nasbench201"])
def space(request) -> SmallSpace:
    return SPACES[request.param]


@pytest.fixture
def scores(space) -> Scores:
    return small_scores(space)


def small_scores(space: SmallSpace) -> Scores:
    """Rising scores, the first of them -inf, and falling parameters."""
    cells = space.enumerate()
    score = torch.arange(len(cells), dtype=torch.float64) / 7
    score[0] = -torch.inf
    columns = {"expected_synflow": score, "params": 10**7 - torch.arange(len(cells))}
    return Scores(space.name, cells, columns, {"zcfast": "0.1.0", "options": {"stem_channels": 16}})
