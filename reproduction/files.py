"""Files that are written whole or not at all, and kept files that cannot be used."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable
from pathlib import Path


def write(path: Path, writer: Callable[[Path], object]) -> None:
    """Let `writer` write a new file, which then replaces `path` in one step. Errors: OSError."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        writer(new)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def set_aside(path: Path, error: Exception) -> None:
    """Give a kept file that cannot be used another name, and say so: what it holds is made again."""
    names = (path.with_name(f"{path.name}.{number}.aside") for number in itertools.count(1))
    aside = next(name for name in names if not os.path.lexists(name))
    path.rename(aside)
    print(f"{path}: not used ({error}): now {aside.name}, and what it holds is made again", file=sys.stderr)
