"""zcfast's own Parquet files: a header beside the columns, and one error for whatever is wrong with them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from zcfast.data.header import opened
from zcfast.data.parquet import ParquetFile
from zcfast.errors import first_line
from zcfast.files import reading


@contextmanager
def open_saved(path: str | os.PathLike[str], key: bytes, what: str) -> Iterator[tuple[ParquetFile, dict[str, Any]]]:
    """An open file and its header; what is raised inside becomes one ValueError with the file's name too."""
    expected = f"a Parquet file of {what} saved by zcfast"
    with reading(path, expected), as_saved(expected):
        if not Path(path).is_file():
            raise ValueError(f"got {'a directory' if Path(path).is_dir() else 'no file'}")
        try:
            file = ParquetFile(path)
        except Exception as error:  # libraries raise anything for damaged bytes
            raise ValueError(f"got a file that does not read as Parquet: {first_line(error)}") from error
        yield file, opened(key, file.metadata)


@contextmanager
def as_saved(expected: str) -> Iterator[None]:
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
