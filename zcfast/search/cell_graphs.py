"""Cells as graphs of operations, for networks that read graphs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from zcfast.spaces import NasBench101Cells, NasBench201Cells
from zcfast.spaces import space as named_space
from zcfast.spaces.nasbench101 import MAX_VERTICES
from zcfast.spaces.nasbench201 import EDGES

INPUT, OUTPUT, GLOBAL, OPERATION = 0, 1, 2, 3  # types of nodes; operations have the types from OPERATION on
TYPES = {"nasbench101": 6, "nasbench201": 8}  # how many types of nodes each space has


def cell_graphs(space: str, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Types int64 [M, V], -1 for a place without a node, and edges float32 [M, V, V] of cells, rows int64 [M].

    edges[m, v] are the weights with which node v averages over the nodes that feed it and itself. The last node is
    global: all others feed it. In NAS-Bench-201 operations become nodes, fed by the operations before them.

    Errors: ValueError for a space whose cells are no such graphs.
    Source: Dudziak et al., "BRP-NAS", NeurIPS 2020, section 3.
    """
    if space not in TYPES:
        raise ValueError(f"space: expected one of {', '.join(TYPES)}, whose cells are graphs, got {space}")
    cells: Any = named_space(space).enumerate()[rows.cpu()].to(rows.device)
    types, edges = _graphs_101(cells) if isinstance(cells, NasBench101Cells) else _graphs_201(cells)
    there = types >= 0
    edges = torch.cat([edges, there[:, None].float()], 1)
    edges = torch.cat([edges, torch.zeros_like(edges[:, :, :1])], 2)
    types = torch.cat([types, torch.full_like(types[:, :1], GLOBAL)], 1)
    edges = edges + torch.eye(edges.shape[1], device=edges.device)
    return types, edges / edges.sum(2, keepdim=True)


def _graphs_101(cells: NasBench101Cells) -> tuple[Tensor, Tensor]:
    count, device = len(cells), cells.device
    vertex = torch.arange(MAX_VERTICES, device=device)
    operations = torch.nn.functional.pad(cells.operations.long() + OPERATION, (1, 1))
    last = cells.vertices.long()[:, None] - 1
    types = torch.where(vertex == last, OUTPUT, torch.where(vertex < last, operations, -1))
    types[:, 0] = INPUT
    edges = torch.zeros(count, MAX_VERTICES, MAX_VERTICES, device=device)
    for y in range(1, MAX_VERTICES):
        bits = torch.arange(y, device=device) + y * (y - 1) // 2
        edges[:, y, :y] = (cells.edges[:, None] >> bits & 1).float()
    return types, edges


def _graphs_201(cells: NasBench201Cells) -> tuple[Tensor, Tensor]:
    count, device = len(cells), cells.device
    types = torch.nn.functional.pad(cells.operations.long() + OPERATION, (1, 1), value=INPUT)
    types[:, -1] = OUTPUT
    edges = torch.zeros(len(EDGES) + 2, len(EDGES) + 2, device=device)
    for node, (source, target) in enumerate(EDGES, 1):
        if source == 0:
            edges[node, 0] = 1
        if target == 3:
            edges[-1, node] = 1
        for before, (_, middle) in enumerate(EDGES, 1):
            edges[node, before] = float(middle == source)
    return types, edges.expand(count, -1, -1)
