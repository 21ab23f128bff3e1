"""Cells as graphs of operations, for networks that read graphs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from zcfast.spaces import Graph
from zcfast.spaces import space as named_space

GLOBAL = 2  # type of the global node; those of operations follow


def count_types(space: str) -> int:
    """How many types of nodes the graphs of a space have."""
    graph: Graph = named_space(space).capability(Graph)
    return graph.kinds + 1


def cell_graphs(space: str, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Types int64 [M, V], -1 for a place without a node, and edges float32 [M, V, V] of cells, rows int64 [M].

    edges[m, v] are the weights with which node v averages over the nodes that feed it and itself. The last node is
    global: all others feed it. In NAS-Bench-201 operations become nodes, fed by the operations before them.

    Errors: ValueError for a space whose cells are no such graphs.
    Source: Dudziak et al., "BRP-NAS", NeurIPS 2020, section 3.
    """
    cells: Any = named_space(space).enumerate()[rows.cpu()].to(rows.device)
    kinds, fed = named_space(space).capability(Graph).graphs(cells)
    types, edges = torch.where(kinds >= GLOBAL, kinds + 1, kinds), fed.float()
    there = types >= 0
    edges = torch.cat([edges, there[:, None].float()], 1)
    edges = torch.cat([edges, torch.zeros_like(edges[:, :, :1])], 2)
    types = torch.cat([types, torch.full_like(types[:, :1], GLOBAL)], 1)
    edges = edges + torch.eye(edges.shape[1], device=edges.device)
    return types, edges / edges.sum(2, keepdim=True)
