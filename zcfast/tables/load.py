"""Finds the reader for a file of accuracies by its content."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
from pyarrow import parquet

from zcfast import scores
from zcfast.errors import first_line, unknown
from zcfast.spaces import CellSpace, NasBench101, NasBench201, names
from zcfast.spaces import space as named_space
from zcfast.tables import (
    columns,
    named,
    nasbench101,
    nasbench101_tfrecord,
    nasbench201,
    natsbench,
    pickles,
    stored,
)
from zcfast.tables.archive import Archive
from zcfast.tables.table import Table

ZIP_MAGIC = b"PK\x03\x04"
PARQUET_MAGIC = b"PAR1"
ARCHIVES: dict[str, Callable[[Any, Archive], Table]] = {
    "nasbench101": nasbench101.read,
    "nasbench201": nasbench201.read,
}


def table(space: str | CellSpace[Any], path: str | os.PathLike[str]) -> Table:
    """Read the accuracies of a search space, or of a benchmark that has no space here, from any file known.

    Formats, told apart by their content, never by the file's name:
      - what `Table.save` or `zcfast import` wrote, in well under a second;
      - NAS-Bench-101: `nasbench_only108.tfrecord`, `nasbench_full.tfrecord` (zcfast/tables/nasbench101_tfrecord.py);
      - NAS-Bench-201 and NATS-Bench: the single `.pth` or `.pickle.pbz2`, the directory of a file an architecture or
        one such file (zcfast/tables/natsbench.py); nothing but numbers, text and containers is unpickled;
      - `.npz` archives of accuracies (zcfast/tables/nasbench101.py, nasbench201.py);
      - Parquet or CSV with a header: a key column (`hash`, `index` or `architecture`) and columns of numbers, each a
        metric (zcfast/tables/columns.py);
      - the benchmarks of `zcfast.tables.named.BENCHMARKS`, by name of architecture.

    Errors: one ValueError that names the file, what was expected and what came: for a missing, unreadable or damaged
    file, one of another kind, missing arrays or columns, an architecture outside the space or there twice.
    """
    name = space.name if isinstance(space, CellSpace) else space
    if name not in (*names(), *named.BENCHMARKS):
        raise unknown("search space", name, (*names(), *named.BENCHMARKS))
    path = Path(path)
    try:
        magic = _first_bytes(path)
        if magic == PARQUET_MAGIC:
            return _from_parquet(name, path)
        if name in named.BENCHMARKS:
            return named.read(name, path)
        return _of_space(named_space(name), path, magic)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _of_space(space: CellSpace[Any], path: Path, magic: bytes) -> Table:
    if isinstance(space, NasBench101) and nasbench101_tfrecord.is_tfrecord(path):
        return nasbench101_tfrecord.read(space, path)
    if isinstance(space, NasBench201) and (path.is_dir() or pickles.is_pickle(path)):
        return natsbench.read(space, path)
    if path.is_dir():
        raise ValueError("expected a file of accuracies, got none: Is a directory")
    if magic != ZIP_MAGIC:
        return columns.read_csv(space, path)
    if space.name not in ARCHIVES:
        raise ValueError(f"expected a CSV or Parquet file for {space.name}, got an .npz archive")
    with Archive(path) as archive:
        return ARCHIVES[space.name](space, archive)


def _from_parquet(name: str, path: Path) -> Table:
    try:
        file = parquet.ParquetFile(path, memory_map=True)
    except (pyarrow.ArrowException, OSError) as error:
        raise ValueError(f"expected a Parquet file, got a broken one: {first_line(error)}") from error
    with file:
        if stored.is_stored(file):
            return stored.read(name, file)
        _check_kind(file)
        if name in named.BENCHMARKS:
            raise ValueError(
                f"expected the published files of {name} or a table saved by zcfast, got another Parquet file"
            )
        return columns.read_parquet(named_space(name), file)


def _check_kind(file: parquet.ParquetFile) -> None:
    """Refuse zcfast's other files."""
    from zcfast.search import trajectory  # not above: it reads tables itself

    metadata = file.schema_arrow.metadata or {}
    for key, kind in ((scores.METADATA_KEY, "scores"), (trajectory.METADATA_KEY, "trajectories of a search")):
        if key in metadata:
            raise ValueError(f"expected a table of accuracies, got a file of {kind} saved by zcfast")


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
