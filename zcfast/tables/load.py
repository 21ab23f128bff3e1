"""Finds the reader for a file of accuracies."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from zcfast.spaces import SearchSpace
from zcfast.spaces import space as named_space
from zcfast.tables import columns, nasbench101, nasbench201
from zcfast.tables.archive import Archive
from zcfast.tables.table import Table

ZIP_MAGIC = b"PK\x03\x04"
PARQUET_MAGIC = b"PAR1"
ARCHIVES: dict[str, Callable[[Any, Archive], Table]] = {
    "nasbench101": nasbench101.read,
    "nasbench201": nasbench201.read,
}


def load(space: str | SearchSpace[Any], path: str | os.PathLike[str]) -> Table:
    """Read a file of accuracies of a search space.

    Formats, told apart by the first bytes:
      - `.npz`: the arrays of a benchmark's release (zcfast/tables/nasbench101.py, nasbench201.py). Nothing in the file
        is unpickled.
      - Parquet or CSV with a header: a key column (`hash`, `index` or `architecture`) and columns of numbers, each a
        metric (zcfast/tables/columns.py).

    Errors: one ValueError that names the file, what was expected and what came: for a missing or unreadable file, one
    of another kind, missing arrays or columns, wrong lengths, an architecture outside the space or there twice.
    """
    space = named_space(space) if isinstance(space, str) else space
    magic = _first_bytes(path)
    try:
        if magic != ZIP_MAGIC:
            read = columns.read_parquet if magic == PARQUET_MAGIC else columns.read_csv
            return read(space, path)
        if space.name not in ARCHIVES:
            raise ValueError(f"expected a CSV or Parquet file for {space.name}, got an .npz archive")
        with Archive(path) as archive:
            return ARCHIVES[space.name](space, archive)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _first_bytes(path: str | os.PathLike[str]) -> bytes:
    expected = f"{path}: expected a file of accuracies"
    try:
        with Path(path).open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise ValueError(f"{expected}, got none: {error.strerror}") from error
    if not magic:
        raise ValueError(f"{expected}, got an empty one")
    return magic
