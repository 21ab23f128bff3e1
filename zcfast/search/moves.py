"""Neighbours of a whole space as look-ups, made once a space, device and proxy."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from zcfast import search_ops
from zcfast.search.proxy import Proxy
from zcfast.spaces import Decisions, Enumerated, NeighbourGraph
from zcfast.spaces import space as named_space
from zcfast.spaces.neighbours import Neighbours


@lru_cache(maxsize=4)
def graph_of(space: str, device: torch.device) -> Neighbours:
    """The neighbours of every architecture: by the space's own relation, or else by a change of one choice."""
    if device.type != "cpu":
        graph = graph_of(space, torch.device("cpu"))
        return Neighbours(graph.offsets.to(device), graph.ids.to(device))
    searched = named_space(space)
    decisions = searched.offers(Decisions)
    if searched.offers(NeighbourGraph) is None and decisions is not None:
        return _by_choices(searched.capability(Enumerated), decisions)
    own: Neighbours = searched.capability(NeighbourGraph).neighbour_graph()
    return own


def _by_choices(listed: Enumerated, decisions: Decisions) -> Neighbours:
    """The architectures with another option in one choice that counts, of every architecture of the space."""
    choices, own = decisions.decode(listed.enumerate()), torch.arange(len(listed))
    found = []
    for place, size in enumerate(decisions.sizes):
        for option in range(size):
            changed = choices.clamp(min=0)
            changed[:, place] = option
            rows = listed.index(decisions.encode(changed))
            found.append(torch.where((choices[:, place] >= 0) & (rows != own), rows, -1))
    ids = torch.stack(found, 1).sort(1).values
    repeated = torch.zeros_like(ids, dtype=torch.bool)
    repeated[:, 1:] = ids[:, 1:] == ids[:, :-1]
    ids = ids.masked_fill(repeated, -1)
    return Neighbours.of_rows(ids, (ids >= 0).sum(1))


@lru_cache(maxsize=4)
def best_neighbours(space: str, device: torch.device, proxy: Proxy) -> Tensor:
    """The best-scored neighbour of every architecture, int64 [N]; itself where it has none."""
    if device.type != "cpu":
        return best_neighbours(space, torch.device("cpu"), proxy).to(device)
    graph = graph_of(space, device)
    source = torch.repeat_interleave(torch.arange(len(graph)), graph.counts)
    places = torch.full((len(graph),), len(graph)).scatter_reduce(0, source, proxy.places[graph.ids], "amin")
    rows = torch.empty(len(graph) + 1, dtype=torch.int64)
    rows[proxy.places] = torch.arange(len(graph))
    return torch.where(graph.counts > 0, rows[places], torch.arange(len(graph)))


def chosen_neighbours(graph: Neighbours, rows: Tensor, bits: Tensor) -> Tensor:
    """The neighbour of each row, int64 [R], that random bits [R] choose; the row itself where it has none."""
    first = graph.offsets[rows]
    counts = graph.offsets[rows + 1] - first
    chosen = graph.ids[(first + search_ops.numbers_below(bits, counts).clamp(min=0)).clamp(max=len(graph.ids) - 1)]
    return torch.where(counts > 0, chosen, rows)
