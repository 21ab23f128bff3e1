"""Accuracies in a user's own CSV or Parquet file: a key column and columns of numbers."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path
from typing import Any

import pyarrow
import torch
from pyarrow import csv
from torch import Tensor

from zcfast.errors import first_line
from zcfast.files import read_bytes, require_memory
from zcfast.scores import KEY_COLUMNS
from zcfast.spaces import Enumerated, SearchSpace
from zcfast.spaces.registry import has_name
from zcfast.tables.keys import DIGITS, rows_of_digests
from zcfast.tables.metric import Metric
from zcfast.tables.table import Table, check_rows, scatter

GROWTH = 8  # bytes that one byte of CSV can become: two of them are a number
COLUMN = 1 << 16  # bytes that a column of CSV takes besides
UNNAMED = ("", "__index_level_0__")  # pandas' row labels, in its CSV and Parquet files: no measurement


def read_csv(space: SearchSpace[Any], path: str | os.PathLike[str]) -> Table:
    """A CSV file with a header, an empty field where an accuracy is missing; see `from_arrow`."""
    # Without this a column of digits-only hashes would be read as numbers and lose its leading zeros.
    text = {name: pyarrow.string() for name in ("hash", "architecture")}
    content = read_bytes(Path(path), GROWTH)
    require_memory("its columns", COLUMN * content.partition(b"\n")[0].count(b","))
    try:
        # Of the content, for pyarrow would unpack a file because of its name.
        table = csv.read_csv(pyarrow.BufferReader(content), convert_options=csv.ConvertOptions(column_types=text))
        readable = all(name.isprintable() for name in table.column_names)
    except Exception as error:  # libraries raise anything for damaged bytes
        message = f"expected a release's file, .npz, Parquet or CSV, got none of them: {first_line(error)}"
        raise ValueError(message) from error
    if not readable:
        raise ValueError("expected a release's file, .npz, Parquet or CSV, got other bytes")
    return from_arrow(space, table)


def from_arrow(space: SearchSpace[Any], table: pyarrow.Table) -> Table:
    """Join a table of any order of rows to the space.

    Columns: one of `hash` (hexadecimal digits), `index` (row in `enumerate()`) and `architecture` (any text that
    `space.parse` takes), the first of them being the key; every other column is a metric and must hold numbers, but for
    pandas' row labels, which have no name and are left out. The rows of the result are those of `enumerate()`; where
    the space has none, or no name by which it is found again, they are the file's, and their names the texts.
    """
    listed = space.offers(Enumerated) if has_name(space) else None
    keys = [name for name in KEY_COLUMNS if name in table.column_names]
    if not keys:
        came = ", ".join(table.column_names[:8]) or "none"
        raise ValueError(f"expected a column {', '.join(KEY_COLUMNS[:-1])} or {KEY_COLUMNS[-1]}, got {came}")
    names = [name for name in table.column_names if name not in (*KEY_COLUMNS, *UNNAMED)]
    if not names:
        raise ValueError("expected a column of accuracies beside the key, got none")
    if len(set(table.column_names)) != len(table.column_names):
        raise ValueError("expected every column once, got two of one name")
    if not table.num_rows:
        raise ValueError("expected a row for each architecture, got none")
    about = f"{space.name}: {table.num_rows} rows of a user's file"
    if listed is None:
        texts = _texts_of(space, keys[0], table.column(keys[0]))
        measured = {name: _metric(_numbers(name, table.column(name))) for name in names}
        return Table(space.name, measured, tuple(names), about, texts)
    require_memory("its metrics", 8 * len(listed) * len(names))
    index = _index(listed, keys[0], table.column(keys[0]))
    check_rows(index, space.name)
    metrics = {name: _metric(scatter(index, _numbers(name, table.column(name)), len(listed))) for name in names}
    return Table(space.name, metrics, tuple(names), about)


def _metric(values: Tensor) -> Metric:
    return Metric(values[None], dataset="", split="", epochs=None, unit="as in the file")


def _texts_of(space: SearchSpace[Any], key: str, column: pyarrow.ChunkedArray) -> tuple[str, ...]:
    """The architectures of the key column, each once, as the space writes them."""
    if key != "architecture" or not pyarrow.types.is_string(column.type) or column.null_count:
        raise ValueError(f"column {key!r}: expected texts of {space.name} in every row of a column 'architecture'")
    texts = space.format(space.parse(column.to_pylist()))
    rows: dict[str, int] = {}
    for row, text in enumerate(texts):
        if rows.setdefault(text, row) != row:
            raise ValueError(f"rows {rows[text]} and {row}: the same architecture of {space.name} twice")
    return tuple(texts)


def _numbers(name: str, column: pyarrow.ChunkedArray) -> Tensor:
    kind = column.type
    if not (pyarrow.types.is_integer(kind) or pyarrow.types.is_floating(kind)):
        raise ValueError(f"column {name!r}: expected numbers, as in all but {', '.join(KEY_COLUMNS)}, got {kind}")
    values = torch.from_numpy(column.cast(pyarrow.float64()).to_numpy().copy())
    low, high = _bounds(name)
    wrong = values.isinf() | (values < low) | (values > high)
    if wrong.any():
        row = int(wrong.nonzero()[0])
        expected = (
            "finite numbers"
            if low == -math.inf
            else f"numbers from {low:g}{'' if math.isinf(high) else f' to {high:g}'}"
        )
        raise ValueError(f"column {name!r}: expected {expected}, got {values[row]:g} in row {row}")
    return values


def _bounds(name: str) -> tuple[float, float]:
    """Between which numbers the values of a column lie, by the words of its name."""
    words = set(re.split("[^a-z]+", name.lower()))
    if words & {"acc", "accuracy", "error"}:
        return 0, 100
    return (0 if words & {"params", "flops", "seconds", "time", "latency"} else -math.inf), math.inf


def _index(space: Any, key: str, column: pyarrow.ChunkedArray) -> Tensor:
    """The row in `enumerate()` of every entry of the key column, int64 [N]."""
    if column.null_count:
        raise ValueError(f"column {key!r}: expected a key in every row, got {column.null_count} empty ones")
    if key == "index":
        if not pyarrow.types.is_integer(column.type):
            raise ValueError(f"column 'index': expected integers, got {column.type}")
        index = torch.from_numpy(column.cast(pyarrow.int64()).to_numpy().copy())
        return torch.where(index < len(space), index, -1)
    if not (pyarrow.types.is_string(column.type) or pyarrow.types.is_large_string(column.type)):
        raise ValueError(f"column {key!r}: expected strings, got {column.type}")
    if key == "hash":
        return _index_of_hashes(space, column)
    found: Tensor = space.index(space.parse(column.to_pylist()))
    return found


def _index_of_hashes(space: Any, column: pyarrow.ChunkedArray) -> Tensor:
    texts = column.to_pylist()
    readable = [DIGITS.fullmatch(text) is not None for text in texts]
    digits = "".join(text if fits else 32 * "0" for text, fits in zip(texts, readable, strict=True))
    digests = torch.frombuffer(bytearray.fromhex(digits), dtype=torch.uint8).reshape(-1, 16)
    return torch.where(torch.tensor(readable), rows_of_digests(space, digests), -1)
