"""The spaces that searches run on: rows of a list of all architectures, and a name that states and files keep."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from zcfast.spaces import Capability, Enumerated, as_space
from zcfast.spaces.registry import has_name


def listed_space(space: Any, needs: Iterable[type[Capability]] = ()) -> Any:
    """A space, or the one of a name.

    Args:
        space: either.
        needs: what it has to offer beside a list, which is not made here.

    Errors: ValueError for a space without a list of all its architectures or what else is needed, or whose name does
        not lead to it.
    """
    found = as_space(space)
    for kind in (Enumerated, *needs):
        found.capability(kind)
    if not has_name(found):
        name = found.name
        raise ValueError(f"space: expected one that its name leads to, got {name}: call zcfast.spaces.register first")
    return found
