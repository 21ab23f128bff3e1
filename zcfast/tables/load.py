"""Finds the reader for a file of accuracies by its content."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from zcfast.data.header import is_ours
from zcfast.data.parquet import ParquetFile
from zcfast.errors import first_line, unknown
from zcfast.files import PARQUET, reading
from zcfast.npz import Archive
from zcfast.spaces import Readers, SearchSpace, as_space, names
from zcfast.spaces.registry import TABLES
from zcfast.tables import columns, named, stored
from zcfast.tables.table import Table

ZIP_MAGIC = b"PK\x03\x04"


def table(space: str | SearchSpace[Any], path: str | os.PathLike[str]) -> Table:
    """Read the accuracies of a search space, or of a benchmark that has no space here, from any file known.

    Formats, told apart by their content, never by the file's name:
      - what `Table.save` or `zcfast import` wrote, in well under a second;
      - what the benchmark released and .npz archives of accuracies, as the space reads them (its `Readers`, in
        zcfast/spaces/<benchmark>/readers.py); nothing but numbers, text and containers is unpickled;
      - Parquet or CSV with a header: a key column (`hash`, `index` or `architecture`) and columns of numbers, each a
        metric (zcfast/tables/columns.py);
      - the benchmarks of `zcfast.spaces.registry.TABLES`, by name of architecture.

    Errors: one ValueError that names the file, what was expected and what came: for a missing, unreadable or damaged
    file, one of another kind, missing arrays or columns, an architecture outside the space or there twice.
    """
    found = _space_or_benchmark(space)
    path = Path(path)
    with reading(path, "a file of accuracies"):
        magic = _first_bytes(path)
        if magic == PARQUET:
            return _from_parquet(found, path)
        return named.load(found, path) if isinstance(found, str) else _of_space(found, path, magic)


def _space_or_benchmark(space: str | SearchSpace[Any]) -> SearchSpace[Any] | str:
    """The space, or the name of a benchmark without one."""
    if isinstance(space, str) and space in TABLES:
        return space
    if isinstance(space, str) and ":" not in space and space not in names():
        raise unknown("search space", space, (*names(), *TABLES))
    found: SearchSpace[Any] = as_space(space)
    return found


def _of_space(space: SearchSpace[Any], path: Path, magic: bytes) -> Table:
    readers = space.offers(Readers)
    if readers is not None and (read := readers.reader(path)) is not None:
        return read(path)  # type: ignore[no-any-return]
    if path.is_dir():
        raise ValueError("expected a file of accuracies, got none: Is a directory")
    if magic != ZIP_MAGIC:
        return columns.read_csv(space, path)
    if readers is None:
        raise ValueError(f"expected a CSV or Parquet file for {space.name}, got an .npz archive")
    with Archive(path) as archive:
        return readers.archive(archive)  # type: ignore[no-any-return]


def _from_parquet(space: SearchSpace[Any] | str, path: Path) -> Table:
    try:
        file = ParquetFile(path)
    except Exception as error:  # libraries raise anything for damaged bytes
        raise ValueError(f"expected a Parquet file, got a broken one: {first_line(error)}") from error
    if is_ours(file.metadata):
        return Table(**stored.load(space if isinstance(space, str) else space.name, path))
    if isinstance(space, str):
        expected = f"expected the published files of {space} or a table saved by zcfast"
        raise ValueError(f"{expected}, got another Parquet file")
    return columns.from_arrow(space, file.read())


def _first_bytes(path: Path) -> bytes:
    """The first four bytes of a file, none of a directory."""
    expected = "expected a file of accuracies"
    if path.is_dir():
        return b""
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise ValueError(f"{expected}, got none: {error.strerror}") from error
    if not magic:
        raise ValueError(f"{expected}, got an empty one")
    return magic
