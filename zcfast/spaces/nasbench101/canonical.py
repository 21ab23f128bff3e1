"""The canonical form of a NAS-Bench-101 cell by look-up: its place in the enumeration, and why it has none."""

from functools import cache

import torch
from torch import Tensor

from zcfast import _tables
from zcfast._native import device_of_kernel
from zcfast.errors import check_kind
from zcfast.spaces.nasbench101 import ops
from zcfast.spaces.nasbench101.cells import MAX_EDGES, MAX_VERTICES, OPERATIONS, NasBench101Cells

UNREADABLE = (1, 2, 3)  # validity codes of csrc/cell.h: the vertices, edge bits or operations are no graph's
REASONS = (  # of the validity codes
    "",
    f"expected 2 to {MAX_VERTICES} vertices",
    "expected no edge bits beyond those of its vertices",
    f"expected operation codes 0 to {len(OPERATIONS) - 1} for the inner vertices and -1 behind them",
    "there is no path from input to output",
    f"expected at most {MAX_EDGES} edges on paths from input to output",
)


@cache
def tables_on(device: torch.device) -> dict[str, Tensor]:
    """The look-up tables on a device."""
    if device.type == "cpu":
        return {name: torch.from_numpy(array) for name, array in _tables.nasbench101().items()}
    return {name: tensor.to(device) for name, tensor in tables_on(torch.device("cpu")).items()}


def index_tables(device: torch.device) -> list[Tensor]:
    """The tables of the canonical form, in the order of the operators' arguments."""
    tables = tables_on(device)
    return [tables[name] for name in ("lookup", "orders", "class_first", "class_orbits", "orbits")]


def enumeration() -> NasBench101Cells:
    """All cells."""
    tables = tables_on(torch.device("cpu"))
    return NasBench101Cells(tables["vertices"], tables["edges"], tables["operations"])


def index_and_validity(cells: NasBench101Cells) -> tuple[Tensor, Tensor]:
    """Place in the enumeration, int64 [N], -1 where the encoding is invalid, and a code of ``REASONS``, int8 [N]."""
    check_kind("cells", cells, NasBench101Cells)
    on = cells.to(device_of_kernel("nasbench101_index", cells.device))
    index, validity = ops.nasbench101_index(on.vertices, on.edges, on.operations, index_tables(on.device))
    return index.to(cells.device), validity.to(cells.device)
