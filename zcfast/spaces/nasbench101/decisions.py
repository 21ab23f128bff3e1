"""NAS-Bench-101 cells as a list of choices."""

import torch
from torch import Tensor

from zcfast.spaces.capabilities import Decisions
from zcfast.spaces.nasbench101.cells import MAX_OPERATIONS, MAX_VERTICES, OPERATIONS, SLOTS, NasBench101Cells, slot


class CellDecisions(Decisions):
    """Seven vertices: each of the 21 edges there or not, one of three operations for each of the five inner ones."""

    def __init__(self, space: object) -> None:
        """All spaces are this one."""

    sizes = (2,) * SLOTS + (len(OPERATIONS),) * MAX_OPERATIONS

    def encode(self, choices: Tensor) -> NasBench101Cells:
        """Cells of seven vertices, some of them on no path."""
        bits = 1 << torch.arange(SLOTS, device=choices.device)
        return NasBench101Cells(
            torch.full((len(choices),), MAX_VERTICES, dtype=torch.int8, device=choices.device),
            (choices[:, :SLOTS] * bits).sum(1).int(),
            choices[:, SLOTS:].to(torch.int8).contiguous(),
        )

    def decode(self, cells: NasBench101Cells) -> Tensor:
        """The output becomes the seventh vertex; operations of vertices that there are not do not count."""
        edges, last = cells.edges[:, None], MAX_VERTICES - 1
        there = (edges >> torch.arange(SLOTS, device=cells.device) & 1).long()
        output = cells.vertices.long()[:, None] - 1
        source = torch.arange(last, device=cells.device)
        into_output = (edges >> slot(source, output).clamp(max=SLOTS - 1) & 1).long() * (source < output)
        target = torch.tensor([v for v in range(1, MAX_VERTICES) for _ in range(v)], device=cells.device)
        there = there * (target < output)
        there[:, slot(0, last) :] = into_output
        return torch.cat([there, cells.operations.long()], 1)
