"""NAS-Bench-101 (Ying et al. 2019): 423,624 cells of at most 7 vertices and 9 edges."""

from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from zcfast._native import device_of_kernel
from zcfast.spaces.capabilities import ClosedForms, Decisions, Graph, Readers
from zcfast.spaces.cell_space import CellSpace
from zcfast.spaces.nasbench101 import cells as encodings
from zcfast.spaces.nasbench101 import ops
from zcfast.spaces.nasbench101.canonical import REASONS, UNREADABLE, enumeration, index_and_validity
from zcfast.spaces.nasbench101.cells import (
    MAX_OPERATIONS,
    MAX_VERTICES,
    OPERATIONS,
    SLOTS,
    Architecture,
    NasBench101Cells,
    on_paths,
    sources,
)
from zcfast.spaces.nasbench101.neighbourhood import neighbours
from zcfast.spaces.nasbench101.network import NasBench101Network, Network, sizes
from zcfast.spaces.neighbours import Neighbours, check_generator


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
    elsewhere: ClassVar = {
        ClosedForms: "zcfast.spaces.nasbench101.closed_forms:CellForms",
        Decisions: "zcfast.spaces.nasbench101.decisions:CellDecisions",
        Graph: "zcfast.spaces.nasbench101.graph:CellGraphs",
        Readers: "zcfast.spaces.nasbench101.readers:Files",
    }

    def __len__(self) -> int:
        """423,624."""
        return 423_624

    def enumerate(self) -> NasBench101Cells:
        """All cells: 1, 6, 84, 2,441, 62,010 and 359,082 with 2 to 7 vertices."""
        return enumeration()

    def index(self, cells: NasBench101Cells) -> Tensor:
        """Position in ``enumerate()`` of the isomorphic cell, int64 [N]; -1 where the encoding is invalid. Exact."""
        return index_and_validity(cells)[0]

    def reasons(self, cells: NasBench101Cells) -> list[str]:
        """Why each encoding is no cell of the space; empty where it is one."""
        return [REASONS[code] for code in index_and_validity(cells)[1].tolist()]

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
        return neighbours(self.canonical(cells), relation)

    def keys(self, cells: NasBench101Cells) -> Tensor:
        """Official MD5 graph hash of each cell, uint8 [N, 16]; the same for isomorphic ones."""
        self.require_valid(cells)
        on = cells.to(device_of_kernel("nasbench101_keys", cells.device))
        # Neighbours of one graph are hashed together, and best first none are neighbours.
        order = (on.vertices.long() << 32 | on.edges.long()).argsort()
        ordered = ops.nasbench101_keys(on.vertices[order], on.edges[order], on.operations[order])
        return torch.empty_like(ordered).index_copy_(0, order, ordered).to(cells.device)

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
        return encodings.parse(architecture)

    def format(self, cells: NasBench101Cells) -> list[str]:
        """Compact strings, see ``parse``."""
        self._require_readable(cells)
        return encodings.compact(cells)

    def to_matrices(self, cells: NasBench101Cells) -> list[tuple[NDArray[np.int8], list[str]]]:
        """(adjacency matrix, operation names) of each cell, as the original API takes them."""
        self._require_readable(cells)
        return encodings.matrices(cells)

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
        for row, code in enumerate(index_and_validity(cells)[1].tolist()):
            if code in UNREADABLE:
                raise ValueError(f"cells: row {row} is no {self.title} cell: {REASONS[code]}")

    def _sizes(self, cells: NasBench101Cells, network: dict[str, Any]) -> tuple[Tensor, Tensor]:
        self.require_valid(cells)
        on = cells.to(device_of_kernel("nasbench101_size", cells.device))
        params, flops = sizes(on.vertices, on.edges, on.operations, self.network_with(network))
        return params.to(cells.device), flops.to(cells.device)

    def _cell_network(self, cell: NasBench101Cells, options: NasBench101Network, batch_norm: bool) -> nn.Module:
        n, edges, operations = int(cell.vertices), int(cell.edges), cell.operations[0].tolist()
        keep = on_paths(n, edges)
        position = {v: i for i, v in enumerate(keep)}
        feeding = [[position[u] for u in sources(edges, v) if u in position] for v in keep[1:]]
        return Network(feeding, [operations[v - 1] for v in keep[1:-1]], options, batch_norm)


def _random_encodings(n: int, generator: torch.Generator | None) -> NasBench101Cells:
    return NasBench101Cells(
        torch.full((n,), MAX_VERTICES, dtype=torch.int8),
        torch.randint(2**SLOTS, (n,), dtype=torch.int32, generator=generator),
        torch.randint(len(OPERATIONS), (n, MAX_OPERATIONS), dtype=torch.int8, generator=generator),
    )
