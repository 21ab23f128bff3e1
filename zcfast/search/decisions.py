"""A space's choices, and the rows of the architectures that they make."""

from __future__ import annotations

from torch import Tensor

from zcfast.spaces import Decisions
from zcfast.spaces import space as named_space


def decisions_of(space: str) -> Decisions:
    """The choices of a search space. Errors: ValueError for a space without."""
    decisions: Decisions = named_space(space).capability(Decisions)
    return decisions


def rows_of_choices(space: str, choices: Tensor) -> Tensor:
    """The row in `enumerate()` of choices [..., D], int64 [...]; -1 where the encoding is invalid."""
    encoded = decisions_of(space).encode(choices.reshape(-1, choices.shape[-1]))
    index: Tensor = named_space(space).index(encoded)
    return index.reshape(choices.shape[:-1])
