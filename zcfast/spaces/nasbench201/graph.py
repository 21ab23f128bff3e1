"""NAS-Bench-201 cells as graphs."""

import torch
from torch import Tensor

from zcfast.spaces.capabilities import INPUT, OPERATION, OUTPUT, Drawing, Graph, Mark
from zcfast.spaces.nasbench201.cells import EDGES, OPERATIONS, NasBench201Cells

SHORT = (("none", "none"), ("skip", "skip"), ("1×1", "conv1"), ("3×3", "conv3"), ("pool", "pool"))
MARKS = tuple(Mark(name, *short) for name, short in zip(OPERATIONS, SHORT, strict=True))


class CellGraphs(Graph):
    """For predictors operations become vertices, fed by the operations before them."""

    kinds = OPERATION + len(MARKS)
    marks = MARKS

    def __init__(self, space: object) -> None:
        """All spaces are this one."""

    def graphs(self, cells: NasBench201Cells) -> tuple[Tensor, Tensor]:
        """Input, the six operations in the order of the edges, output."""
        kinds = torch.nn.functional.pad(cells.operations.long() + OPERATION, (1, 1), value=INPUT)
        kinds[:, -1] = OUTPUT
        edges = torch.zeros(len(EDGES) + 2, len(EDGES) + 2, dtype=torch.bool, device=cells.device)
        for node, (source, target) in enumerate(EDGES, 1):
            if source == 0:
                edges[node, 0] = True
            if target == 3:
                edges[-1, node] = True
            for before, (_, middle) in enumerate(EDGES, 1):
                edges[node, before] = middle == source
        return kinds, edges.expand(len(cells), -1, -1)

    def drawing(self, cell: NasBench201Cells) -> Drawing:
        """Operations on the edges."""
        pairs = zip(EDGES, cell.operations[0].tolist(), strict=True)
        return Drawing(
            tuple(Mark(str(node), str(node), "end") for node in range(4)),
            tuple((source, target, MARKS[code]) for (source, target), code in pairs),
        )
