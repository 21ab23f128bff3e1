"""The cells one edit away from a NAS-Bench-101 cell."""

import torch
from torch import Tensor

from zcfast._native import device_of_kernel
from zcfast.errors import unknown
from zcfast.spaces.nasbench101 import ops
from zcfast.spaces.nasbench101.canonical import index_and_validity, index_tables
from zcfast.spaces.nasbench101.cells import MAX_VERTICES, NasBench101Cells
from zcfast.spaces.nasbench101.edits import wide_edits
from zcfast.spaces.neighbours import Neighbours

RELATIONS = ("operations", "unpruned", "pruned")  # in the order of their codes in csrc/cell.h
WIDE = "wide"
CHUNK = 4096  # cells whose edits are in memory together


def neighbours(cells: NasBench101Cells, relation: str) -> Neighbours:
    """See ``NasBench101.neighbours``; the cells are canonical."""
    if relation not in (*RELATIONS, WIDE):
        raise unknown("relation", relation, (*RELATIONS, WIDE))
    if relation == WIDE:
        return _wide(cells)
    on = cells.to(device_of_kernel("nasbench101_neighbours", cells.device))
    ids, counts = ops.nasbench101_neighbours(
        on.vertices, on.edges, on.operations, index_tables(on.device), RELATIONS.index(relation)
    )
    return Neighbours.of_rows(ids.to(cells.device), counts.to(cells.device))


def _wide(cells: NasBench101Cells) -> Neighbours:
    own, lists = index_and_validity(cells)[0], []
    counts = torch.zeros(len(cells) + 1, dtype=torch.int64, device=cells.device)
    for vertices in range(2, MAX_VERTICES + 1):
        rows = (cells.vertices == vertices).nonzero()[:, 0]
        for start in range(0, len(rows), CHUNK):
            part = rows[start : start + CHUNK]
            found = _edited(vertices, cells[part]).sort(1).values
            repeated = torch.zeros_like(found, dtype=torch.bool)
            repeated[:, 1:] = found[:, 1:] == found[:, :-1]
            kept = (found >= 0) & ~repeated & (found != own[part, None])
            counts[part + 1] = kept.sum(1)
            lists.append((part.repeat_interleave(kept.sum(1)), found[kept]))
    owners, ids = (torch.cat(column) for column in zip((own[:0], own[:0]), *lists, strict=True))
    return Neighbours(counts.cumsum(0), ids[owners.argsort(stable=True)])


def _edited(vertices: int, cells: NasBench101Cells) -> Tensor:
    """Positions int64 [N, E] of the cells that E edits make of cells with as many vertices, -1 for none."""
    edits = list(wide_edits(vertices, cells.edges, cells.operations))
    counts = torch.tensor([count for count, *_ in edits], dtype=torch.int8, device=cells.device)
    edges, operations = torch.cat([edit[1] for edit in edits]), torch.cat([edit[2] for edit in edits])
    possible = torch.cat([edges[: len(cells)] >= 0 if edit[3] is None else edit[3] for edit in edits])
    index = index_and_validity(NasBench101Cells(counts.repeat_interleave(len(cells)), edges, operations))[0]
    return torch.where(possible, index, -1).reshape(len(edits), len(cells)).T
