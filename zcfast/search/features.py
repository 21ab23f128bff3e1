"""Numbers that describe architectures to a model of them: operations or layers by kind, choices, work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from zcfast.spaces import Cells, Decisions, Enumerated, Graph, LayerKinds, SearchSpace, Sizes
from zcfast.spaces.capabilities import INPUT, OPERATION, OUTPUT

DRAWN, BUILT = 1000, 64  # architectures that say how much a column varies: counted by formulas, or built to be counted


@dataclass(frozen=True, eq=False)
class Features:
    """Columns of a space, each with mean 0 and variance 1 over a sample of it.

    Attributes:
        space: the space.
        means, deviations: of each column by name, those that vary alone.
    """

    space: SearchSpace[Any]
    means: dict[str, float]
    deviations: dict[str, float]

    @classmethod
    def fit(cls, space: SearchSpace[Any], cells: Any) -> Features:
        """The columns that vary over cells and a sample of the space.

        Raises:
            ValueError: nothing varies, or nothing of the space can be counted.
        """
        formulas = space.offers(Graph) is not None
        drawn = space.sample(DRAWN if formulas else BUILT, torch.Generator().manual_seed(0))
        parts = [described(space, each) for each in (cells, drawn)]
        means, deviations = {}, {}
        for name in dict.fromkeys(name for part in parts for name in part):
            zeros = (torch.zeros(len(each), dtype=torch.float64) for each in (cells, drawn))
            column = torch.cat([part.get(name, none) for part, none in zip(parts, zeros, strict=True)])
            column = column[~column.isnan()]
            if len(column) > 1 and float(column.std()) > 0:
                means[name], deviations[name] = float(column.mean()), float(column.std())
        if not means:
            raise ValueError(f"{space.name}: expected architectures that differ in layers or choices, got none")
        return cls(space, means, deviations)

    def of(self, cells: Any) -> Tensor:
        """Architectures as numbers [N, D]; NaN for a network that cannot be built."""
        columns = described(self.space, cells)
        none = torch.zeros(len(cells), dtype=torch.float64)
        failed = torch.stack([*columns.values(), none]).isnan().any(0)
        found = [(columns.get(name, none) - mean) / self.deviations[name] for name, mean in self.means.items()]
        return torch.stack(found, 1).masked_fill(failed[:, None], torch.nan)


def described(space: SearchSpace[Any], cells: Any) -> dict[str, Tensor]:
    """Columns float64 [N] by name.

    Of a space with graphs how many operations of each kind there are, and how many of them lie on a path from input to
    output, and the multiply-adds. Of any other the layers by kind with their multiply-adds, NaN where a network cannot
    be built, and its choices, each option a column.
    """
    graph = space.offers(Graph)
    if graph is not None:
        sizes = space.offers(Sizes)
        work = {} if sizes is None else {"multiply-adds": sizes.flops(cells).double().cpu()}
        return {**_operations(graph, cells), **work}
    layers, decisions = space.offers(LayerKinds), space.offers(Decisions)
    if layers is None and decisions is None:
        space.capability(Decisions)
    columns = {} if layers is None else _layers(layers, cells)
    return columns if decisions is None else {**columns, **_options(decisions, cells)}


def _operations(graph: Graph, cells: Any) -> dict[str, Tensor]:
    kinds, edges = (each.cpu() for each in graph.graphs(cells))
    blocked = torch.zeros_like(kinds, dtype=torch.bool)
    for place, mark in enumerate(graph.marks, OPERATION):
        blocked |= (kinds == place) & (mark.kind == "none")
    live = _reached(edges, (kinds == INPUT), blocked) & _reached(edges.mT, (kinds == OUTPUT), blocked)
    columns = {}
    for place, mark in enumerate(graph.marks, OPERATION):
        columns[mark.name] = (kinds == place).sum(1).double()
        if mark.kind not in ("none", "skip"):  # which are no work wherever they are
            columns[f"{mark.name} on a path"] = ((kinds == place) & live).sum(1).double()
    return columns


def _reached(edges: Tensor, start: Tensor, blocked: Tensor) -> Tensor:
    """Which vertices [N, V] a path leads to from a start, along edges bool [N, V, V]: [n, v, u] leads from u to v."""
    reached = start
    for _ in range(start.shape[1]):
        reached = start | ((edges & reached[:, None]).any(2) & ~blocked)
    return reached


def _layers(layers: LayerKinds, cells: Any) -> dict[str, Tensor]:
    found = [_counted(layers, cells[row]) for row in range(len(cells))]
    columns: dict[str, Tensor] = {}
    missing = torch.tensor([each is None for each in found], dtype=torch.bool)
    for row, counts in enumerate(found):
        for kind, pair in ({} if counts is None else counts).items():
            for name, number in zip((kind, f"{kind}, multiply-adds"), pair, strict=True):
                columns.setdefault(name, torch.zeros(len(cells), dtype=torch.float64))[row] = number
    works = [column for name, column in columns.items() if name.endswith(", multiply-adds")]
    columns["multiply-adds"] = sum(works, torch.zeros(len(cells), dtype=torch.float64))
    return {name: column.masked_fill(missing, torch.nan) for name, column in columns.items()}


def _counted(layers: LayerKinds, cell: Any) -> Mapping[str, tuple[int, int]] | None:
    try:
        return layers.layer_kinds(cell)[0]
    except ValueError:  # a network that cannot be built
        return None


def _options(decisions: Decisions, cells: Any) -> dict[str, Tensor]:
    choices = decisions.decode(cells).cpu()
    return {
        f"choice {place} is {option}": (choices[:, place] == option).double()
        for place, size in enumerate(decisions.sizes)
        for option in range(size)
    }


@lru_cache(maxsize=4)
def choices_of(space: SearchSpace[Any]) -> Tensor:
    """The choices of every architecture of a listed space, each option a column of mean 0 and variance 1, [N, D]."""
    cells = space.capability(Enumerated).enumerate()
    columns = torch.stack([*_options(space.capability(Decisions), cells).values()], 1)
    columns = columns[:, columns.std(0) > 0]
    return (columns - columns.mean(0)) / columns.std(0)


def rows_of(space: SearchSpace[Any], rows: Cells | Tensor | Sequence[int]) -> Any:
    """Architectures as they are, or those at rows of a space that lists them; a ValueError for rows outside it."""
    if isinstance(rows, Cells):
        space.require_valid(rows)
        return rows
    listed = space.capability(Enumerated)
    index = torch.as_tensor(rows)
    if index.dim() != 1 or index.is_floating_point() or index.dtype == torch.bool:
        raise ValueError(f"rows: expected integers [n] or architectures, got {index.dtype} {list(index.shape)}")
    if len(index) and not bool(((index >= 0) & (index < len(listed))).all()):
        raise ValueError(f"rows: expected numbers from 0 to {len(listed) - 1}, got others")
    return listed.enumerate()[index.long()]
