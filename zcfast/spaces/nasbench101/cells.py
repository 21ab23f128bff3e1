"""Cells of NAS-Bench-101: their encoding, and the original API's and the compact form of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from zcfast.spaces.cells import Cells

MAX_VERTICES, MAX_EDGES, MAX_OPERATIONS = 7, 9, 5
SLOTS = MAX_VERTICES * (MAX_VERTICES - 1) // 2  # possible edges
INPUT, OUTPUT = "input", "output"
OPERATIONS = ("conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3")  # in the order of their codes
SHORT_NAMES = ("conv3x3", "conv1x1", "maxpool3x3")
CONV_3X3, CONV_1X1, MAXPOOL_3X3 = range(3)
_CODES = {name: code for names in (OPERATIONS, SHORT_NAMES) for code, name in enumerate(names)}

Architecture = str | tuple[ArrayLike, Sequence[str]]


def slot(source: Any, target: Any) -> Any:
    """The bit of an edge source -> target, source < target: integers or tensors of them."""
    return source + target * (target - 1) // 2


@dataclass(frozen=True, repr=False, eq=False)
class NasBench101Cells(Cells):
    """Directed acyclic graphs in topological order: vertex 0 is the input, the last one the output.

    vertices: int8 [N], 2 to 7. edges: int32 [N], bit x + y (y - 1) / 2 is the edge x -> y, x < y. operations: int8
    [N, 5], code of the inner vertices 1 .. vertices - 2 into ``OPERATIONS``, then -1. An encoding may hold vertices
    that lie on no path from input to output; they do not count.
    """

    FORMAT: ClassVar = {
        "vertices": (torch.int8, ()),
        "edges": (torch.int32, ()),
        "operations": (torch.int8, (MAX_OPERATIONS,)),
    }

    vertices: Tensor
    edges: Tensor
    operations: Tensor


def parse(architecture: Architecture | list[Architecture]) -> NasBench101Cells:
    """See ``NasBench101.parse``."""
    items = architecture if isinstance(architecture, list) else [architecture]
    rows = [_encode_string(item) if isinstance(item, str) else _encode_matrix(item) for item in items]
    return NasBench101Cells(
        torch.tensor([row[0] for row in rows], dtype=torch.int8),
        torch.tensor([row[1] for row in rows], dtype=torch.int32),
        torch.tensor([row[2] for row in rows], dtype=torch.int8).reshape(-1, MAX_OPERATIONS),
    )


def compact(cells: NasBench101Cells) -> list[str]:
    """Compact strings of cells that are graphs."""
    return [
        "|".join(
            f"{SHORT_NAMES[operations[v - 1]] if v < n - 1 else OUTPUT}:{','.join(map(str, sources(edges, v)))}"
            for v in range(1, n)
        )
        for n, edges, operations in rows_of(cells)
    ]


def matrices(cells: NasBench101Cells) -> list[tuple[NDArray[np.int8], list[str]]]:
    """(adjacency matrix, operation names) of cells that are graphs."""
    result = []
    for n, edges, operations in rows_of(cells):
        matrix = np.zeros((n, n), dtype=np.int8)
        for v in range(1, n):
            matrix[sources(edges, v), v] = 1
        result.append((matrix, [INPUT, *(OPERATIONS[code] for code in operations[: n - 2]), OUTPUT]))
    return result


def rows_of(cells: NasBench101Cells) -> Iterator[tuple[int, int, list[int]]]:
    """Vertices, edges and operations of each cell."""
    return zip(*(tensor.tolist() for tensor in cells.tensors().values()), strict=True)


def sources(edges: int, vertex: int) -> list[int]:
    """The vertices that feed a vertex."""
    return [u for u in range(vertex) if edges >> slot(u, vertex) & 1]


def on_paths(vertices: int, edges: int) -> list[int]:
    """The vertices on some path from input to output."""
    forward, backward = {0}, {vertices - 1}
    for v in range(1, vertices):
        if forward & set(sources(edges, v)):
            forward.add(v)
    for v in range(vertices - 1, 0, -1):
        if v in backward:
            backward |= set(sources(edges, v))
    return sorted(forward & backward)


def _operation_codes(names: Sequence[str]) -> list[int]:
    for vertex, name in enumerate(names, 1):
        if name not in _CODES:
            raise ValueError(f"operations: expected one of {', '.join(OPERATIONS)} at vertex {vertex}, got {name!r}")
    return [_CODES[name] for name in names] + [-1] * (MAX_OPERATIONS - len(names))


def _encode_matrix(architecture: Any) -> tuple[int, int, list[int]]:
    if not isinstance(architecture, tuple) or len(architecture) != 2:
        kind = type(architecture).__name__
        raise ValueError(f"architecture: expected a string or a pair (adjacency matrix, operation names), got {kind}")
    try:
        matrix, names = np.asarray(architecture[0]), list(architecture[1])
    except (TypeError, ValueError) as error:  # a ragged matrix, or no sequence of names
        raise ValueError(f"architecture: expected (square matrix, list of operation names): {error}") from error
    n = len(names)
    if not 2 <= n <= MAX_VERTICES:
        raise ValueError(f"operations: expected 2 to {MAX_VERTICES} names, got {n}")
    if matrix.shape != (n, n):
        raise ValueError(f"matrix: expected {n} x {n} for {n} operations, got shape {list(matrix.shape)}")
    if not np.issubdtype(matrix.dtype, np.integer) and matrix.dtype != np.bool_:
        raise ValueError(f"matrix: expected integers, got dtype {matrix.dtype}")
    if not np.isin(matrix, (0, 1)).all():
        raise ValueError(f"matrix: expected only 0 and 1, got {sorted(set(matrix.ravel().tolist()) - {0, 1})[0]}")
    if np.tril(matrix).any():
        row, column = np.argwhere(np.tril(matrix))[0].tolist()
        raise ValueError(f"matrix: expected upper triangular, got an edge {row} -> {column}")
    if names[0] != INPUT or names[-1] != OUTPUT:
        raise ValueError(f"operations: expected {INPUT!r} first and {OUTPUT!r} last, got {names[0]!r}, {names[-1]!r}")
    edges = sum(1 << slot(x, y) for x, y in np.argwhere(matrix).tolist())
    return n, edges, _operation_codes(names[1:-1])


def _encode_string(text: str) -> tuple[int, int, list[int]]:
    vertices = [part.partition(":") for part in text.split("|")]
    n = len(vertices) + 1
    if not 2 <= n <= MAX_VERTICES or vertices[-1][0] != OUTPUT:
        raise ValueError(
            f"architecture: expected up to {MAX_OPERATIONS} operations and then {OUTPUT}, as in "
            f"'conv3x3:0|conv1x1:0,1|output:2', got {text!r}"
        )
    edges = 0
    for y, (name, _, listed) in enumerate(vertices, 1):
        for source in listed.split(",") if listed else []:
            if not source.isdecimal() or int(source) >= y:
                raise ValueError(f"architecture: expected sources 0 to {y - 1} of {name!r}, got {source!r} in {text!r}")
            edges |= 1 << slot(int(source), y)
    return n, edges, _operation_codes([name for name, _, _ in vertices[:-1]])
