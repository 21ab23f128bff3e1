"""Cells as graphs of operations, for networks that read graphs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from zcfast.spaces import Decisions, Graph, SearchSpace
from zcfast.spaces import space as named_space
from zcfast.spaces.capabilities import OPERATION

GLOBAL = 2  # type of the global node; those of operations follow


def count_types(space: str) -> int:
    """How many types of nodes the graphs of a space have."""
    searched: SearchSpace[Any] = named_space(space)
    graph, decisions = searched.offers(Graph), searched.offers(Decisions)
    if graph is None and decisions is not None:
        return OPERATION + 1 + int(sum(decisions.sizes))
    return searched.capability(Graph).kinds + 1


def _kinds_and_edges(space: str, cells: Any) -> tuple[Tensor, Tensor]:
    """As ``Graph.graphs``; of a space without it a vertex for each choice, its option the kind, and no edges."""
    searched = named_space(space)
    graph, decisions = searched.offers(Graph), searched.offers(Decisions)
    if graph is None and decisions is not None:
        choices = decisions.decode(cells)
        first = torch.tensor([0, *decisions.sizes[:-1]], device=choices.device).cumsum(0) + OPERATION
        kinds = torch.where(choices >= 0, choices + first, -1)
        return kinds, torch.zeros(*kinds.shape, kinds.shape[1], dtype=torch.bool, device=kinds.device)
    found: tuple[Tensor, Tensor] = searched.capability(Graph).graphs(cells)
    return found


def cell_graphs(space: str, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Types int64 [M, V], -1 for a place without a node, and edges float32 [M, V, V] of cells, rows int64 [M].

    edges[m, v] are the weights with which node v averages over the nodes that feed it and itself. The last node is
    global: all others feed it. Of a space without graphs the nodes are choices, which feed the global node alone.

    Errors: ValueError for a space whose cells are no such graphs.
    Source: Dudziak et al., "BRP-NAS", NeurIPS 2020, section 3.
    """
    cells: Any = named_space(space).enumerate()[rows.cpu()].to(rows.device)
    kinds, fed = _kinds_and_edges(space, cells)
    types, edges = torch.where(kinds >= GLOBAL, kinds + 1, kinds), fed.float()
    there = types >= 0
    edges = torch.cat([edges, there[:, None].float()], 1)
    edges = torch.cat([edges, torch.zeros_like(edges[:, :, :1])], 2)
    types = torch.cat([types, torch.full_like(types[:, :1], GLOBAL)], 1)
    edges = edges + torch.eye(edges.shape[1], device=edges.device)
    return types, edges / edges.sum(2, keepdim=True)
