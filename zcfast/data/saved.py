"""zcfast's own Parquet files: a header, columns with a checksum each, and one error for whatever is wrong with them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow
from pyarrow import compute

from zcfast import _tables
from zcfast.data.header import opened, sealed
from zcfast.data.parquet import ParquetFile, write_parquet
from zcfast.errors import first_line, printable
from zcfast.files import reading


class SavedFile:
    """An open file of ours.

    Attributes:
        header: its header.
        rows: how many.
        columns: names of the columns.
    """

    def __init__(self, file: ParquetFile) -> None:
        """Take the file. Errors: ValueError for one without a header of ours."""
        self.header, self._file = opened(file.metadata), file
        self.rows, self.columns = file.rows, file.columns

    def read(self, columns: Sequence[str] | None = None) -> pyarrow.Table:
        """The columns of those names, by default all. Errors: ValueError for a column that is not as it was written."""
        table = self._file.read(columns)
        checksums = self.header.get("checksums", {})  # files of before have none
        for name in table.column_names:
            if name in checksums and _checksum(table.column(name)) != checksums[name]:
                raise ValueError(f"got a damaged one: the checksum of column {name!r} does not match")
        return table


def write_saved(
    path: str | os.PathLike[str], kind: str, header: Mapping[str, Any], columns: pyarrow.Table, **options: Any
) -> None:
    """Write a file of a kind in place of `path`, whole or not at all. Errors: OSError.

    Parquet has no checksum of its footer, which says where a column lies and what it is called: the header has one of
    each column, and one of itself.
    """
    checksums = {name: _checksum(columns.column(name)) for name in columns.column_names}
    metadata = sealed(kind, {**header, "checksums": checksums})
    write_parquet(columns.replace_schema_metadata(metadata), path, **options)


@contextmanager
def open_saved(path: str | os.PathLike[str], kind: str | None = None) -> Iterator[SavedFile]:
    """An open file of a kind, or of any; what is raised inside becomes one ValueError with the file's name too."""
    expected = "a Parquet file saved by zcfast" if kind is None else f"a Parquet file of {kind} saved by zcfast"
    with reading(path, expected), _as_expected(expected):
        if not Path(path).is_file():
            raise ValueError(f"got {'a directory' if Path(path).is_dir() else 'no file'}")
        try:
            file = ParquetFile(path)
        except Exception as error:  # libraries raise anything for damaged bytes
            raise ValueError(f"got a file that does not read as Parquet: {first_line(error)}") from error
        saved = SavedFile(file)
        if kind not in (None, saved.header.get("kind")):
            raise ValueError(f"got one of {printable(str(saved.header.get('kind'))[:20])}")
        yield saved


@contextmanager
def _as_expected(expected: str) -> Iterator[None]:
    """Whatever is raised inside as a ValueError; one that says only what came gets what was expected before it."""
    try:
        yield
    except Exception as error:  # contents of another form raise anything
        text = str(error)
        if isinstance(error, ValueError) and text.startswith("expected "):
            raise
        if not (isinstance(error, ValueError) and text.startswith(("got ", "in format "))):
            text = f"got a damaged one: {type(error).__name__}: {first_line(error)[:80]}"
        raise ValueError(f"expected {expected}{' ' if text.startswith('in') else ', '}{text}") from error


def _checksum(column: pyarrow.ChunkedArray) -> int:
    """Of the bytes of the numbers, or of the texts with line breaks between; none is as an empty text."""
    array = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    if pyarrow.types.is_string(array.type) or pyarrow.types.is_large_string(array.type):
        texts = compute.fill_null(array.cast(pyarrow.string()), "")
        whole = pyarrow.ListArray.from_arrays([0, len(texts)], texts)
        return _tables.crc32c(compute.binary_join(whole, "\n")[0].as_buffer())
    numbers = array.flatten() if pyarrow.types.is_fixed_size_list(array.type) else array
    values: npt.NDArray[Any] = numbers.to_numpy(zero_copy_only=False)
    return _tables.crc32c(np.ascontiguousarray(values))
