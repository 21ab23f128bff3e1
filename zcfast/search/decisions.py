"""A space's encoding as a list of independent choices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from zcfast.spaces import Cells, NasBench101Cells, NasBench201Cells
from zcfast.spaces import space as named_space
from zcfast.spaces.nasbench101 import MAX_OPERATIONS, MAX_VERTICES
from zcfast.spaces.nasbench101 import OPERATIONS as OPERATIONS_101
from zcfast.spaces.nasbench201 import EDGES
from zcfast.spaces.nasbench201 import OPERATIONS as OPERATIONS_201

_EDGES_101 = MAX_VERTICES * (MAX_VERTICES - 1) // 2


@dataclass(frozen=True)
class Decisions:
    """D choices that make an encoding.

    Attributes:
        space: name of the search space.
        sizes: how many options each choice has, D of them.
        encode: cells of choices, int64 [M, D] -> M encodings, of which some may be invalid.
    """

    space: str
    sizes: tuple[int, ...]
    encode: Callable[[Tensor], Cells]

    @property
    def available(self) -> Tensor:
        """Whether each choice has each option, bool [D, C], C being the largest size."""
        return torch.arange(max(self.sizes)) < torch.tensor(self.sizes)[:, None]

    def rows(self, choices: Tensor) -> Tensor:
        """The row in `enumerate()` of choices [..., D], int64 [...]; -1 where the encoding is invalid."""
        space: Any = named_space(self.space)
        index: Tensor = space.index(self.encode(choices.reshape(-1, len(self.sizes))))
        return index.reshape(choices.shape[:-1])


def decisions_of(space: str) -> Decisions:
    """The choices of a search space.

    NAS-Bench-101: seven vertices, each of the 21 edges there or not, one of three operations for each of the five inner
    vertices. NAS-Bench-201: one of five operations on each of six edges.

    Errors: ValueError for a space without a list of choices.
    """
    if space not in _DECISIONS:
        raise ValueError(
            f"space: expected one of {', '.join(_DECISIONS)}, whose encoding is a list of choices, got {space}"
        )
    return _DECISIONS[space]


def _encode_101(choices: Tensor) -> Cells:
    bits = 1 << torch.arange(_EDGES_101, device=choices.device)
    return NasBench101Cells(
        torch.full((len(choices),), MAX_VERTICES, dtype=torch.int8, device=choices.device),
        (choices[:, :_EDGES_101] * bits).sum(1).int(),
        choices[:, _EDGES_101:].to(torch.int8).contiguous(),
    )


def _encode_201(choices: Tensor) -> Cells:
    return NasBench201Cells(choices.to(torch.int8))


_DECISIONS = {
    "nasbench101": Decisions("nasbench101", (2,) * _EDGES_101 + (len(OPERATIONS_101),) * MAX_OPERATIONS, _encode_101),
    "nasbench201": Decisions("nasbench201", (len(OPERATIONS_201),) * len(EDGES), _encode_201),
}
