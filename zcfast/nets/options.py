"""Reads the options of a network from keyword arguments: an unknown or impossible one is refused, never ignored."""

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

from zcfast.errors import unknown

NetworkT = TypeVar("NetworkT")

# The largest values, far beyond any network in use: counts and closed forms stay within their integers and the memory.
LARGEST = {
    "stem_channels": 2048,
    "stacks": 8,
    "modules": 100,
    "classes": 1_000_000,
    "resolution": 1024,
    "image_channels": 1024,
}


def with_options(default: NetworkT, options: Mapping[str, Any]) -> NetworkT:
    """``default`` with its fields replaced by ``options``; each a field, an integer from 1 to ``LARGEST``."""
    names = [field.name for field in dataclasses.fields(default)]  # type: ignore[arg-type]
    for name, value in options.items():
        if name not in names:
            raise unknown("option", name, names)
        if isinstance(value, bool) or not hasattr(value, "__index__") or not 1 <= value <= LARGEST[name]:
            raise ValueError(f"{name}: expected an integer from 1 to {LARGEST[name]}, got {value!r}")
    return dataclasses.replace(default, **{name: int(value) for name, value in options.items()})  # type: ignore[type-var]
