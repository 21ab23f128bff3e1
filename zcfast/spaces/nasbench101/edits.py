"""The wide neighbourhood of NAS-Bench-101 cells: rewired edges, added and bypassed vertices."""

from collections.abc import Iterator

import torch
from torch import Tensor

from zcfast.spaces.nasbench101.cells import MAX_VERTICES, OPERATIONS, slot

OPERATION_KINDS = len(OPERATIONS)

# Vertices [N], edges [N], operations [N, 5] of edited cells, and which of the N the edit is possible for, or all.
Edit = tuple[int, Tensor, Tensor, Tensor | None]


def wide_edits(vertices: int, edges: Tensor, operations: Tensor) -> Iterator[Edit]:
    """Every edit of N cells with the same number of vertices, one after the other; what comes out may be no cell.

    edges: int32 [N], operations: int8 [N, 5], as NasBench101Cells has them. The edits: another operation on one vertex;
    one edge added or removed; one edge moved to another source or target; a vertex bypassed, its sources feeding its
    targets; a new vertex with one source and one target, beside the edge between these or in its place.
    """
    yield from _operations(vertices, edges, operations)
    yield from _edges(vertices, edges, operations)
    for vertex in range(1, vertices - 1):
        yield vertices, _bypassed(vertices, edges, vertex), operations, None
    if vertices < MAX_VERTICES:
        yield from _added(vertices, edges, operations)


def _operations(vertices: int, edges: Tensor, operations: Tensor) -> Iterator[Edit]:
    for vertex in range(vertices - 2):
        for change in range(1, OPERATION_KINDS):
            edited = operations.clone()
            edited[:, vertex] = (edited[:, vertex] + change) % OPERATION_KINDS
            yield vertices, edges, edited, None


def _edges(vertices: int, edges: Tensor, operations: Tensor) -> Iterator[Edit]:
    ends = [(u, v) for v in range(vertices) for u in range(v)]
    for old in ends:
        yield vertices, edges ^ _bit(*old), operations, None
        for new in ends:
            if new != old and (new[0] == old[0] or new[1] == old[1]):
                moves = (edges & _bit(*old) != 0) & (edges & _bit(*new) == 0)
                yield vertices, edges ^ _bit(*old) ^ _bit(*new), operations, moves


def _bypassed(vertices: int, edges: Tensor, vertex: int) -> Tensor:
    """The vertex keeps its sources and is cut off by feeding nothing."""
    result, sources = edges.clone(), _row(edges, vertex)
    for target in range(vertex + 1, vertices):
        fed = edges & _bit(vertex, target) != 0
        result = torch.where(fed, (result | sources << _first(target)) & ~_bit(vertex, target), result)
    return result


def _added(vertices: int, edges: Tensor, operations: Tensor) -> Iterator[Edit]:
    """The new vertex stands directly before its target, which moves one place up."""
    for target in range(1, vertices):
        moved = torch.zeros_like(edges)
        for old in range(1, vertices):
            row = _row(edges, old)
            low = row & (1 << target) - 1
            moved |= (row if old < target else low | row >> target << target + 1) << _first(old + (old >= target))
        for source in range(target):
            beside = moved | _bit(source, target) | _bit(target, target + 1)
            replaced = edges & _bit(source, target) != 0
            for operation in range(OPERATION_KINDS):
                new = torch.full_like(operations[:, :1], operation)
                longer = torch.cat([operations[:, : target - 1], new, operations[:, target - 1 : -1]], 1)
                yield vertices + 1, beside, longer, None
                yield vertices + 1, beside & ~_bit(source, target + 1), longer, replaced


def _first(target: int) -> int:
    return int(slot(0, target))


def _bit(source: int, target: int) -> int:
    return 1 << int(slot(source, target))


def _row(edges: Tensor, target: int) -> Tensor:
    """The sources of a vertex as a set of bits."""
    return edges >> _first(target) & (1 << target) - 1
