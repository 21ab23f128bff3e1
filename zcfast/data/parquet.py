"""Parquet files that are read within the memory that may be taken, whatever they say of their sizes."""

from __future__ import annotations

import mmap
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow
from pyarrow import compute, parquet

from zcfast.data.pages import sizes
from zcfast.files import PARQUET, replace_file, require_memory

MOST_FOOTER = 1 << 21  # bytes; each may become 200
MOST_COLUMNS = 1 << 12  # nested ones take the stack too
COPIES = 2  # of the columns, that their readers make


class ParquetFile:
    """An open file, checked up to its columns.

    Attributes:
        metadata: of the schema.
        columns: names of the columns.
        rows: how many.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Open a regular file. Errors: any, of bytes that are not Parquet."""
        with Path(path).open("rb") as file:
            end = file.seek(-8, os.SEEK_END)
            footer = int.from_bytes(file.read(4), "little")
            if file.read(4) != PARQUET or footer > min(end, MOST_FOOTER):
                raise ValueError(f"expected a footer of at most {min(end, MOST_FOOTER):,} bytes, got {footer:,}")
        options = {"page_checksum_verification": True, "thrift_container_size_limit": MOST_COLUMNS}
        mapped = pyarrow.memory_map(os.fsencode(path))  # bytes: a name may be of other letters than Unicode's
        schema = parquet.ParquetFile(mapped, **options).schema_arrow
        # Texts are read as numbers of different ones, of which a few bytes may stand for millions.
        texts = [field.name for field in schema if _is_text(field.type)]
        self._path, self._file = path, parquet.ParquetFile(mapped, read_dictionary=texts, **options)
        self.metadata: dict[bytes, bytes] = schema.metadata or {}
        self.columns: list[str] = schema.names
        self.rows: int = self._file.metadata.num_rows

    def read(self, columns: Sequence[str] | None = None) -> pyarrow.Table:
        """The columns of those names, by default all, if they are of numbers, fixed lists of numbers or texts.

        Errors: ValueError for other columns and for more memory than may be taken; any, for damaged bytes.
        """
        names = self.columns if columns is None else list(columns)
        for field in [self._file.schema_arrow.field(name) for name in names]:
            if not _is_plain(field.type):
                raise ValueError(f"column {field.name!r}: expected numbers or texts, got {field.type}")
        _require_memory(self._path)
        table = self._file.read(names)
        read = [_spelled(column) for column in table.columns]
        return pyarrow.table(read, table.column_names).replace_schema_metadata(self.metadata)


def _is_plain(kind: pyarrow.DataType) -> bool:
    types = pyarrow.types
    inner = kind.value_type if types.is_fixed_size_list(kind) or types.is_dictionary(kind) else kind
    return bool(types.is_null(kind) or types.is_primitive(inner) or _is_text(inner))


def _is_text(kind: pyarrow.DataType) -> bool:
    types = pyarrow.types
    inner = kind.value_type if types.is_dictionary(kind) else kind
    return bool(types.is_string(inner) or types.is_large_string(inner))


def _spelled(column: pyarrow.ChunkedArray) -> pyarrow.ChunkedArray:
    """A column of texts without its dictionary, any other as it is."""
    if not pyarrow.types.is_dictionary(column.type):
        return column
    lengths = (compute.sum(compute.binary_length(part.dictionary).take(part.indices)) for part in column.chunks)
    require_memory("its texts", COPIES * sum(length.as_py() or 0 for length in lengths))
    return column.cast(column.type.value_type)


def _require_memory(path: str | os.PathLike[str]) -> None:
    """Raise a ValueError where the columns take more than may be taken."""
    with Path(path).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        total = 0
        for size in sizes(content):
            total += COPIES * size
            require_memory("its columns", total)


def write_parquet(table: pyarrow.Table, path: str | os.PathLike[str], **options: Any) -> None:
    """Write a file in place of `path`, whole or not at all. Errors: OSError."""
    options = {"compression": "zstd", "write_page_checksum": True, **options}
    with replace_file(path) as temporary, temporary.open("wb") as file:  # opened here, as its name may be no text
        parquet.write_table(table, file, **options)
