"""The spaces that searches run on: rows of a list of all architectures, and a name that states and files keep."""

from __future__ import annotations

from typing import Any

from zcfast.spaces import Enumerated, as_space
from zcfast.spaces.registry import has_name


def listed_space(space: Any) -> Any:
    """A space, or the one of a name.

    Errors: ValueError for a space without a list of all its architectures, or whose name does not lead to it.
    """
    found = as_space(space)
    found.capability(Enumerated)
    if not has_name(found):
        name = found.name
        raise ValueError(f"space: expected one that its name leads to, got {name}: call zcfast.spaces.register first")
    return found
