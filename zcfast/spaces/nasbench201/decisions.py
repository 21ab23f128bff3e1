"""NAS-Bench-201 cells as a list of choices."""

import torch
from torch import Tensor

from zcfast.spaces.capabilities import Decisions
from zcfast.spaces.nasbench201.cells import EDGES, OPERATIONS, NasBench201Cells


class CellDecisions(Decisions):
    """One of five operations on each of six edges."""

    sizes = (len(OPERATIONS),) * len(EDGES)

    def __init__(self, space: object) -> None:
        """All spaces are this one."""

    def encode(self, choices: Tensor) -> NasBench201Cells:
        """The choices are the encoding."""
        return NasBench201Cells(choices.to(torch.int8))

    def decode(self, cells: NasBench201Cells) -> Tensor:
        """Every choice counts."""
        return cells.operations.long()
