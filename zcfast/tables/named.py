"""Benchmarks whose architectures have no encoding here: tables by the architectures' names."""

from __future__ import annotations

import importlib
from pathlib import Path

from zcfast.spaces.registry import TABLES
from zcfast.tables.table import Table


def load(benchmark: str, path: Path) -> Table:
    """The table of a benchmark's published files.

    Errors: ValueError for files that are damaged or of other content.
    """
    module, _, name = TABLES[benchmark].partition(":")
    read = getattr(importlib.import_module(module), name)
    try:
        return read(benchmark, path)  # type: ignore[no-any-return]
    except (KeyError, TypeError, AttributeError, OverflowError, RuntimeError) as error:
        came = f"{type(error).__name__} at {error}"[:80]
        raise ValueError(f"expected the published files of {benchmark}, got others: {came}") from error
