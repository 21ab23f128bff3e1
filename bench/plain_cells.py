"""Look-ups of NAS-Bench-101 cells in plain PyTorch, any number of cells at once: the kernels' rivals on a device."""

from collections.abc import Sequence

import torch
from torch import Tensor

from zcfast.spaces.nasbench101.cells import MAX_EDGES, MAX_OPERATIONS, MAX_VERTICES

OPERATIONS = 3
SLOTS = [(x, y) for y in range(MAX_VERTICES) for x in range(y)]  # by the bit of the edge
FIRST_SLOT = [y * (y - 1) // 2 for y in range(MAX_VERTICES + 1)]
FIRST_MASK = [sum(2 ** FIRST_SLOT[k] for k in range(2, n)) for n in range(MAX_VERTICES + 1)]


def adjacency(edges: Tensor) -> Tensor:
    """Whether there is an edge from x to y, bool [N, 7, 7]."""
    result = torch.zeros(len(edges), MAX_VERTICES, MAX_VERTICES, dtype=torch.bool, device=edges.device)
    for bit, (x, y) in enumerate(SLOTS):
        result[:, x, y] = (edges >> bit & 1).bool()
    return result


def on_paths(edges: Tensor, last: Tensor) -> Tensor:
    """Whether each vertex lies on a path from the input to the output, bool [N, 7]; edges bool [N, 7, 7]."""
    vertex = torch.arange(MAX_VERTICES, device=last.device)
    from_input, to_output = (vertex == 0).expand(len(last), -1).clone(), vertex == last[:, None]
    for y in range(1, MAX_VERTICES):
        from_input[:, y] |= (edges[:, :, y] & from_input).any(1)
    for x in range(MAX_VERTICES - 2, -1, -1):
        to_output[:, x] |= (edges[:, x] & to_output).any(1)
    return from_input & to_output


def plain_index(vertices: Tensor, edges: Tensor, operations: Tensor, tables: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Index in enumeration order, -1 where there is no path or too many edges, and vertices on paths, int64 [N] each.

    Edges beyond those of the vertices do not count.
    """
    lookup, orders, class_first, class_orbits, orbits = tables
    last = vertices.long() - 1
    graph = adjacency(edges)
    kept = on_paths(graph, last)
    graph = graph & kept[:, :, None] & kept[:, None, :]
    place = kept.cumsum(1) - 1  # among those that are kept
    slot = place[:, :, None] + (place * (place - 1) // 2)[:, None, :]
    mask = torch.where(graph, 1 << slot.clamp(min=0), 0).sum((1, 2))
    count = kept.sum(1)
    valid = kept[:, 0] & kept.gather(1, last[:, None])[:, 0] & (graph.sum((1, 2)) <= MAX_EDGES)
    count, mask = count.where(valid, 2), mask.where(valid, 1)
    codes = torch.nn.functional.pad(operations.long(), (1, 1)).gather(1, (~kept).long().argsort(stable=True, dim=1))
    first_mask = torch.tensor(FIRST_MASK, device=edges.device)
    entry = lookup[first_mask[count] + mask].long() - 1
    order, each = orders[entry & 127].long(), entry >> 7
    labelling = torch.zeros_like(count)
    for v in range(MAX_OPERATIONS):
        code = codes.gather(1, order[:, v : v + 1])[:, 0]
        labelling = torch.where(v < count - 2, OPERATIONS * labelling + code, labelling)
    orbit = class_orbits[each].long()
    found = torch.where(orbit < 0, labelling, orbits[(orbit + labelling).clamp(min=0, max=len(orbits) - 1)])
    return torch.where(valid, class_first[each] + found, -1), torch.where(valid, count, 0)


def plain_neighbours(
    vertices: Tensor, edges: Tensor, operations: Tensor, tables: Sequence[Tensor]
) -> tuple[Tensor, Tensor]:
    """As zcfast.spaces.nasbench101.ops.nasbench101_neighbours of canonical cells by the relation "pruned"."""
    own, _ = plain_index(vertices, edges, operations, tables)
    inner, slots = vertices.long() - 2, vertices.long() * (vertices.long() - 1) // 2
    edited = []
    for v in range(MAX_OPERATIONS):
        for change in range(1, OPERATIONS):
            changed = operations.clone()
            changed[:, v] = (changed[:, v] + change) % OPERATIONS
            edited.append(plain_index(vertices, edges, changed, tables)[0].where(v < inner, -1))
    for bit in range(len(SLOTS)):
        edited.append(plain_index(vertices, edges ^ (1 << bit), operations, tables)[0].where(bit < slots, -1))
    nowhere = 2**31 - 1
    ids = torch.stack(edited, 1)
    ids = ids.where((ids >= 0) & (ids != own[:, None]), nowhere).sort(1).values
    ids[:, 1:] = ids[:, 1:].where(ids[:, 1:] != ids[:, :-1], nowhere)
    ids = ids.sort(1).values
    there = ids < nowhere
    return ids.where(there, -1).int(), there.sum(1)
