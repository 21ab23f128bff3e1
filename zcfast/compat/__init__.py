"""Habits of other libraries: their calls, names and signs, on this package's scores."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zcfast.compat import foresight, naslib

__all__ = ["foresight", "naslib"]


def __dir__() -> list[str]:
    return sorted(__all__)


if not TYPE_CHECKING:  # a type checker would take it that every name is there

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module 'zcfast.compat' has no attribute {name!r}")
        return import_module(f"zcfast.compat.{name}")
