"""NAS-Bench-101 cells as graphs."""

import torch
from torch import Tensor

from zcfast.spaces.capabilities import INPUT, OPERATION, OUTPUT, Drawing, Graph, Mark
from zcfast.spaces.nasbench101.cells import MAX_VERTICES, NasBench101Cells, rows_of, slot, sources

MARKS = (Mark("conv3x3", "3×3", "conv3"), Mark("conv1x1", "1×1", "conv1"), Mark("maxpool3x3", "pool", "pool"))
ENDS = (Mark("input", "in", "end"), Mark("output", "out", "end"))


class CellGraphs(Graph):
    """Vertices are operations."""

    kinds = OPERATION + len(MARKS)
    marks = MARKS

    def __init__(self, space: object) -> None:
        """All spaces are this one."""

    def graphs(self, cells: NasBench101Cells) -> tuple[Tensor, Tensor]:
        """Of seven places for vertices."""
        count, device = len(cells), cells.device
        vertex = torch.arange(MAX_VERTICES, device=device)
        operations = torch.nn.functional.pad(cells.operations.long() + OPERATION, (1, 1))
        last = cells.vertices.long()[:, None] - 1
        kinds = torch.where(vertex == last, OUTPUT, torch.where(vertex < last, operations, -1))
        kinds[:, 0] = INPUT
        edges = torch.zeros(count, MAX_VERTICES, MAX_VERTICES, dtype=torch.bool, device=device)
        for y in range(1, MAX_VERTICES):
            bits = slot(torch.arange(y, device=device), y)
            edges[:, y, :y] = cells.edges[:, None] >> bits & 1 == 1
        return kinds, edges

    def drawing(self, cell: NasBench101Cells) -> Drawing:
        """Operations on the vertices."""
        ((vertices, edges, operations),) = rows_of(cell)
        return Drawing(
            (ENDS[0], *(MARKS[code] for code in operations[: vertices - 2]), ENDS[1]),
            tuple((x, y, None) for y in range(vertices) for x in sources(edges, y)),
        )
