"""NAS-Bench-101 (Ying et al. 2019): 423,624 cells of at most 7 vertices and 9 edges."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from zcfast import _tables, space_ops
from zcfast._native import device_of_kernel
from zcfast.errors import check_kind, unknown
from zcfast.networks.nasbench101 import NasBench101Network, Network, sizes
from zcfast.spaces.cell_space import CellSpace
from zcfast.spaces.cells import Cells
from zcfast.spaces.nasbench101_edits import wide_edits
from zcfast.spaces.neighbours import Neighbours, check_generator

MAX_VERTICES, MAX_EDGES, MAX_OPERATIONS = 7, 9, 5
INPUT, OUTPUT = "input", "output"
OPERATIONS = ("conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3")  # in the order of their codes
SHORT_NAMES = ("conv3x3", "conv1x1", "maxpool3x3")
UNREADABLE = (1, 2, 3)  # validity codes of csrc/cell.h: the vertices, edge bits or operations are no graph's
RELATIONS = ("operations", "unpruned", "pruned")  # in the order of their codes in csrc/cell.h
WIDE = "wide"
CHUNK = 4096  # cells whose edits are in memory together
_CODES = {name: code for names in (OPERATIONS, SHORT_NAMES) for code, name in enumerate(names)}

Architecture = str | tuple[ArrayLike, Sequence[str]]


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


@cache
def _tables_on(device: torch.device) -> dict[str, Tensor]:
    if device.type == "cpu":
        return {name: torch.from_numpy(array) for name, array in _tables.nasbench101().items()}
    return {name: tensor.to(device) for name, tensor in _tables_on(torch.device("cpu")).items()}


def _index_tables(device: torch.device) -> list[Tensor]:
    """The tables of the canonical form, in the order of the operators' arguments."""
    tables = _tables_on(device)
    return [tables[name] for name in ("lookup", "orders", "class_first", "class_orbits", "orbits")]


class NasBench101(CellSpace[NasBench101Cells]):
    """All cells up to isomorphism, in the order in which the benchmark's own enumeration meets them.

    By vertices, then by edge mask, then by operations: every cell is stored as the first member of its isomorphism
    class that a count through all masks and labellings reaches.
    """

    name = "nasbench101"
    cells = NasBench101Cells
    title = "NAS-Bench-101"
    source = "Ying et al., NAS-Bench-101: Towards Reproducible Neural Architecture Search, ICML 2019"
    classes = 423_624
    network = NasBench101Network()
    initialisation = "kaiming_fan_out"

    def __len__(self) -> int:
        """423,624."""
        return 423_624

    def enumerate(self) -> NasBench101Cells:
        """All cells: 1, 6, 84, 2,441, 62,010 and 359,082 with 2 to 7 vertices."""
        tables = _tables_on(torch.device("cpu"))
        return NasBench101Cells(tables["vertices"], tables["edges"], tables["operations"])

    def index(self, cells: NasBench101Cells) -> Tensor:
        """Position in ``enumerate()`` of the isomorphic cell, int64 [N]; -1 where the encoding is invalid. Exact."""
        return self._index_and_validity(cells)[0]

    def reasons(self, cells: NasBench101Cells) -> list[str]:
        """Why each encoding is no cell of the space; empty where it is one."""
        texts = (
            "",
            f"expected 2 to {MAX_VERTICES} vertices",
            "expected no edge bits beyond those of its vertices",
            f"expected operation codes 0 to {len(OPERATIONS) - 1} for the inner vertices and -1 behind them",
            "there is no path from input to output",
            f"expected at most {MAX_EDGES} edges on paths from input to output",
        )
        return [texts[code] for code in self._index_and_validity(cells)[1].tolist()]

    def canonical(self, cells: NasBench101Cells) -> NasBench101Cells:
        """The isomorphic cell of ``enumerate()``: pruned, lowest edge mask, then smallest operations."""
        index = self.require_index(cells)
        return self.enumerate()[index.cpu()].to(cells.device)

    def neighbours(self, cells: NasBench101Cells, relation: str = "pruned") -> Neighbours:
        """The distinct cells one edit away from each canonical cell.

        relation: "operations" changes the operation of one inner vertex. "unpruned" also adds or removes one edge x ->
        y, x < y in the order of the canonical cell, if every vertex stays on a path and there are at most 9 edges.
        "pruned" also takes the edits that cut vertices off, which are then removed. An edge can be toggled only
        forwards in the canonical order, so "pruned" and "unpruned" are not symmetric: ``neighbour_graph`` can add the
        edges that lead back. Every cell but the smallest, which has no operation, has at least one neighbour by them.
        "wide" also moves one end of an edge, takes a vertex out by having its sources feed its targets, and puts a new
        vertex with one source and one target beside the edge between them or in its place: 55 neighbours on average.
        """
        if relation not in (*RELATIONS, WIDE):
            raise unknown("relation", relation, (*RELATIONS, WIDE))
        cells = self.canonical(cells)
        if relation == WIDE:
            return self._wide_neighbours(cells)
        on = cells.to(device_of_kernel("nasbench101_neighbours", cells.device))
        ids, counts = space_ops.nasbench101_neighbours(
            on.vertices, on.edges, on.operations, _index_tables(on.device), RELATIONS.index(relation)
        )
        return Neighbours.of_rows(ids.to(cells.device), counts.to(cells.device))

    def _wide_neighbours(self, cells: NasBench101Cells) -> Neighbours:
        own, lists = self.index(cells), []
        counts = torch.zeros(len(cells) + 1, dtype=torch.int64, device=cells.device)
        for vertices in range(2, MAX_VERTICES + 1):
            rows = (cells.vertices == vertices).nonzero()[:, 0]
            for start in range(0, len(rows), CHUNK):
                part = rows[start : start + CHUNK]
                found = self._edited(vertices, cells[part]).sort(1).values
                repeated = torch.zeros_like(found, dtype=torch.bool)
                repeated[:, 1:] = found[:, 1:] == found[:, :-1]
                kept = (found >= 0) & ~repeated & (found != own[part, None])
                counts[part + 1] = kept.sum(1)
                lists.append((part.repeat_interleave(kept.sum(1)), found[kept]))
        owners, ids = (torch.cat(column) for column in zip((own[:0], own[:0]), *lists, strict=True))
        return Neighbours(counts.cumsum(0), ids[owners.argsort(stable=True)])

    def _edited(self, vertices: int, cells: NasBench101Cells) -> Tensor:
        """Positions int64 [N, E] of the cells that E edits make of cells with as many vertices, -1 for none."""
        edits = list(wide_edits(vertices, cells.edges, cells.operations))
        counts = torch.tensor([count for count, *_ in edits], dtype=torch.int8, device=cells.device)
        edges, operations = torch.cat([edit[1] for edit in edits]), torch.cat([edit[2] for edit in edits])
        possible = torch.cat([edges[: len(cells)] >= 0 if edit[3] is None else edit[3] for edit in edits])
        index = self.index(NasBench101Cells(counts.repeat_interleave(len(cells)), edges, operations))
        return torch.where(possible, index, -1).reshape(len(edits), len(cells)).T

    def keys(self, cells: NasBench101Cells) -> Tensor:
        """Official MD5 graph hash of each cell, uint8 [N, 16]; the same for isomorphic ones."""
        self.require_index(cells)
        on = cells.to(device_of_kernel("nasbench101_keys", cells.device))
        return space_ops.nasbench101_keys(on.vertices, on.edges, on.operations).to(cells.device)

    def sample(
        self,
        n: int,
        generator: torch.Generator | None = None,
        method: Literal["uniform", "rejection"] = "uniform",
    ) -> NasBench101Cells:
        """``n`` cells of ``enumerate()``, drawn with replacement.

        "uniform": every cell is equally likely. "rejection": as the benchmark's own ``random_spec`` does, 7 vertices
        with every edge and operation drawn independently until a valid cell comes out, which favours some cells.
        """
        if method == "uniform" or n < 0:
            return super().sample(n, generator)
        if method != "rejection":
            raise ValueError(f"method: expected 'uniform' or 'rejection', got {method!r}")
        check_generator(generator)
        found: list[Tensor] = [torch.empty(0, dtype=torch.int64)]
        while (missing := n - sum(map(len, found))) > 0:
            index = self.index(_random_encodings(max(64, 2 * missing), generator))
            found.append(index[index >= 0])
        return self.enumerate()[torch.cat(found)[:n]]

    def parse(self, architecture: Architecture | list[Architecture]) -> NasBench101Cells:
        """Cells from the original API's (adjacency matrix, operation names) or from compact strings.

        The matrix is upper triangular with 0 and 1, the names begin with "input" and end with "output". A compact
        string lists the vertices behind the input with the vertices that feed them: "conv3x3:0|conv1x1:0,1|output:2".
        Vertices that lie on no path are kept: ``canonical`` removes them, ``is_valid`` judges the cell.
        """
        items = architecture if isinstance(architecture, list) else [architecture]
        rows = [_encode_string(item) if isinstance(item, str) else _encode_matrix(item) for item in items]
        return NasBench101Cells(
            torch.tensor([row[0] for row in rows], dtype=torch.int8),
            torch.tensor([row[1] for row in rows], dtype=torch.int32),
            torch.tensor([row[2] for row in rows], dtype=torch.int8).reshape(-1, MAX_OPERATIONS),
        )

    def format(self, cells: NasBench101Cells) -> list[str]:
        """Compact strings, see ``parse``."""
        self._require_readable(cells)
        return [
            "|".join(
                f"{SHORT_NAMES[operations[v - 1]] if v < n - 1 else OUTPUT}:{','.join(map(str, _sources(edges, v)))}"
                for v in range(1, n)
            )
            for n, edges, operations in zip(*(tensor.tolist() for tensor in cells.tensors().values()), strict=True)
        ]

    def to_matrices(self, cells: NasBench101Cells) -> list[tuple[NDArray[np.int8], list[str]]]:
        """(adjacency matrix, operation names) of each cell, as the original API takes them."""
        self._require_readable(cells)
        result = []
        for n, edges, operations in zip(*(t.tolist() for t in cells.tensors().values()), strict=True):
            matrix = np.zeros((n, n), dtype=np.int8)
            for v in range(1, n):
                matrix[_sources(edges, v), v] = 1
            result.append((matrix, [INPUT, *(OPERATIONS[code] for code in operations[: n - 2]), OUTPUT]))
        return result

    def params(self, cells: NasBench101Cells, **network: Any) -> Tensor:
        """Trainable parameters, int64 [N]; for the canonical cells equal to the released numbers.

        The vertex order can change how 128 channels split over three vertices, so this is the cell's as it stands.
        """
        return self._sizes(cells, network)[0]

    def flops(self, cells: NasBench101Cells, **network: Any) -> Tensor:
        """Multiply-adds of one image in convolutions and classifier, int64 [N]; see ``params`` on the vertex order."""
        return self._sizes(cells, network)[1]

    def _require_readable(self, cells: NasBench101Cells) -> None:
        """Refuse encodings that have no matrix; cells without a path or with too many edges have one."""
        for row, code in enumerate(self._index_and_validity(cells)[1].tolist()):
            if code in UNREADABLE:
                raise ValueError(f"cells: row {row} is no {self.title} cell: {self.reasons(cells[row])[0]}")

    def _sizes(self, cells: NasBench101Cells, network: dict[str, Any]) -> tuple[Tensor, Tensor]:
        self.require_index(cells)
        on = cells.to(device_of_kernel("nasbench101_size", cells.device))
        params, flops = sizes(on.vertices, on.edges, on.operations, self.network_with(network))
        return params.to(cells.device), flops.to(cells.device)

    def _cell_network(self, cell: NasBench101Cells, options: NasBench101Network, batch_norm: bool) -> nn.Module:
        n, edges, operations = int(cell.vertices), int(cell.edges), cell.operations[0].tolist()
        keep = _on_paths(n, edges)
        position = {v: i for i, v in enumerate(keep)}
        sources = [[position[u] for u in _sources(edges, v) if u in position] for v in keep[1:]]
        return Network(sources, [operations[v - 1] for v in keep[1:-1]], options, batch_norm)

    def _index_and_validity(self, cells: NasBench101Cells) -> tuple[Tensor, Tensor]:
        check_kind("cells", cells, NasBench101Cells)
        on = cells.to(device_of_kernel("nasbench101_index", cells.device))
        index, validity = space_ops.nasbench101_index(on.vertices, on.edges, on.operations, _index_tables(on.device))
        return index.to(cells.device), validity.to(cells.device)


def _sources(edges: int, vertex: int) -> list[int]:
    first = vertex * (vertex - 1) // 2
    return [u for u in range(vertex) if edges >> (first + u) & 1]


def _on_paths(vertices: int, edges: int) -> list[int]:
    """The vertices on some path from input to output."""
    forward, backward = {0}, {vertices - 1}
    for v in range(1, vertices):
        if forward & set(_sources(edges, v)):
            forward.add(v)
    for v in range(vertices - 1, 0, -1):
        if v in backward:
            backward |= set(_sources(edges, v))
    return sorted(forward & backward)


def _random_encodings(n: int, generator: torch.Generator | None) -> NasBench101Cells:
    slots = MAX_VERTICES * (MAX_VERTICES - 1) // 2
    return NasBench101Cells(
        torch.full((n,), MAX_VERTICES, dtype=torch.int8),
        torch.randint(2**slots, (n,), dtype=torch.int32, generator=generator),
        torch.randint(len(OPERATIONS), (n, MAX_OPERATIONS), dtype=torch.int8, generator=generator),
    )


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
    edges = sum(1 << (x + y * (y - 1) // 2) for x, y in np.argwhere(matrix).tolist())
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
            edges |= 1 << (int(source) + y * (y - 1) // 2)
    return n, edges, _operation_codes([name for name, _, _ in vertices[:-1]])
