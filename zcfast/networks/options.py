"""Reads the options of a network from keyword arguments: an unknown or impossible one is refused, never ignored."""

import dataclasses
from typing import Any, TypeVar

from zcfast.errors import unknown

NetworkT = TypeVar("NetworkT")


def with_options(default: NetworkT, options: dict[str, Any]) -> NetworkT:
    """``default`` with its fields replaced by ``options``; each must be a field and a positive integer."""
    names = [field.name for field in dataclasses.fields(default)]  # type: ignore[arg-type]
    for name, value in options.items():
        if name not in names:
            raise unknown("option", name, names)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{name}: expected an integer >= 1, got {value!r}")
    return dataclasses.replace(default, **options)  # type: ignore[type-var]
