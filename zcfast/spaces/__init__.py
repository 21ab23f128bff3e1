"""Search spaces: enumeration, canonical forms, names and sizes of whole benchmarks, as tensors."""

import difflib
from functools import cache
from typing import Any

from zcfast.spaces.base import Cells, SearchSpace
from zcfast.spaces.nasbench101 import NasBench101, NasBench101Cells
from zcfast.spaces.nasbench201 import NasBench201, NasBench201Cells

__all__ = [
    "Cells",
    "NasBench101",
    "NasBench101Cells",
    "NasBench201",
    "NasBench201Cells",
    "SearchSpace",
    "space",
    "spaces",
]

_SPACES: dict[str, type[SearchSpace[Any]]] = {cls.name: cls for cls in (NasBench101, NasBench201)}


def spaces() -> list[str]:
    """Names of all search spaces."""
    return list(_SPACES)


@cache
def _instance(name: str) -> SearchSpace[Any]:
    return _SPACES[name]()


def space(name: str) -> SearchSpace[Any]:
    """The search space called ``name``; a ValueError lists the near matches of an unknown one."""
    if name not in _SPACES:
        near = difflib.get_close_matches(name, _SPACES, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(_SPACES)}"
        raise ValueError(f"space: unknown search space {name!r}; {hint}")
    return _instance(name)
