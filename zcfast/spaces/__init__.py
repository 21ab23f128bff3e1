"""Search spaces: enumeration, canonical forms, names and sizes of whole benchmarks, as tensors."""

from functools import cache
from typing import Any

from zcfast.errors import unknown
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
    "names",
    "space",
]

_SPACES: dict[str, type[SearchSpace[Any]]] = {cls.name: cls for cls in (NasBench101, NasBench201)}


def names() -> list[str]:
    """The names of all search spaces."""
    return list(_SPACES)


@cache
def _instance(name: str) -> SearchSpace[Any]:
    return _SPACES[name]()


def space(name: str) -> SearchSpace[Any]:
    """The search space called ``name``; an unknown one is a ValueError with the near matches."""
    if name not in names():
        raise unknown("search space", name, _SPACES)
    return _instance(name)
