"""What a user names by an import path, such as mymodule:space."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from zcfast.errors import first_line

Made = TypeVar("Made")


def imported(path: str, example: str) -> Any:
    """What is at MODULE:NAME. Imports as Python does, from the current directory too.

    Raises:
        ValueError: one line that names the path: it is of another form, or the import raises.
    """
    module, colon, name = path.partition(":")
    if not (colon and name.isidentifier() and all(part.isidentifier() for part in module.split("."))):
        raise ValueError(f"{path}: expected MODULE:NAME, such as {example}")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    return made(path, lambda: getattr(importlib.import_module(module), name))


def made(path: str, make: Callable[[], Made]) -> Made:
    """What the user's code at a path makes; whatever it raises is a ValueError, one line that names the path."""
    try:
        return make()
    except (Exception, SystemExit) as error:  # a user's own code: what it raises is the answer
        raise ValueError(f"{path}: {type(error).__name__}: {first_line(error)}") from error
