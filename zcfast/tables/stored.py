"""zcfast's own file of a table: Parquet, one column a metric and seed, every column with its checksum."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow
import torch

from zcfast import _tables
from zcfast.data.header import TABLE, opened, sealed
from zcfast.data.parquet import ParquetFile, write_parquet
from zcfast.data.saved import as_saved
from zcfast.tables.metric import Metric

EXPECTED = "a table saved by zcfast"


def save(
    path: str | os.PathLike[str],
    rows: int,
    *,
    space: str,
    metrics: Mapping[str, Metric],
    headline: tuple[str, ...],
    description: str,
    names: tuple[str, ...],
) -> None:
    """Write a table of so many rows; see `Table`. Columns: `index` or `key`, then `<metric>` or `<metric>.<seed>`."""
    columns: dict[str, Any] = {"key": names} if names else {"index": np.arange(rows, dtype=np.int32)}
    described = []
    for name, metric in metrics.items():
        labels = [f"{name}.{seed}" for seed in metric.seeds] or [name]
        arrays = [_smallest(row) for row in metric.values.cpu().contiguous().numpy()]
        columns |= dict(zip(labels, arrays, strict=True))
        about = {field.name: getattr(metric, field.name) for field in dataclasses.fields(metric)}
        about["values"] = [[label, _tables.crc32c(array)] for label, array in zip(labels, arrays, strict=True)]
        described.append({"name": name, **about})
    header = {"space": space, "headline": headline, "description": description}
    metadata = sealed(TABLE, {**header, "metrics": described, "keys": _checksum_of_names(names)})
    arrow = pyarrow.table(columns).replace_schema_metadata(metadata)
    # Plain and uncompressed, with checksums of columns alone: a mapped file is read at the speed of memory.
    plain = {"compression": "none", "use_dictionary": False, "row_group_size": 1 << 30, "write_page_checksum": False}
    write_parquet(arrow, path, **plain)


def is_stored(file: ParquetFile) -> bool:
    """Whether an open Parquet file is one that `save` wrote."""
    return TABLE in file.metadata


def read(space: str, file: ParquetFile) -> dict[str, Any]:
    """What `Table` takes, of what `save` wrote for the space of that name.

    Errors: ValueError for a table of another space, another version of the format and a damaged file.
    """
    with as_saved(EXPECTED):
        header = opened(TABLE, file.metadata)
        if header["space"] != space:
            raise ValueError(f"expected a table of {space}, got one of {header['space']}")
        return _build(header, file)


def _build(header: dict[str, Any], file: ParquetFile) -> dict[str, Any]:
    labels = [label for metric in header["metrics"] for label, _ in metric["values"]]
    named = header["keys"] is not None
    arrow = file.read([*labels, *(["key"] if named else [])])
    names = tuple(arrow.column("key").to_pylist()) if named else ()
    if _checksum_of_names(names) != header["keys"]:
        raise ValueError("got a damaged one: the checksum of its keys does not match")
    metrics = {}
    for about in header["metrics"]:
        name, rows = about.pop("name"), [_verified(arrow, *column) for column in about.pop("values")]
        seeds = tuple(about.pop("seeds"))
        metrics[name] = Metric(torch.from_numpy(np.stack(rows)), **about, seeds=seeds)
    return {
        "space": header["space"],
        "metrics": metrics,
        "headline": tuple(header["headline"]),
        "description": header["description"],
        "names": names,
    }


def _verified(arrow: pyarrow.Table, label: str, checksum: int) -> np.ndarray[Any, np.dtype[Any]]:
    values: np.ndarray[Any, np.dtype[Any]] = np.asarray(arrow.column(label).to_numpy())
    if values.dtype.kind != "f" or _tables.crc32c(values) != checksum:
        raise ValueError(f"got a damaged one: the checksum of column {label!r} does not match")
    return values


def _smallest(values: np.ndarray[Any, np.dtype[Any]]) -> np.ndarray[Any, np.dtype[Any]]:
    """The values as float32 where that loses nothing."""
    with np.errstate(over="ignore"):
        halved = values.astype(np.float32)
    return halved if np.array_equal(halved.astype(values.dtype), values, equal_nan=True) else values


def _checksum_of_names(names: tuple[str, ...]) -> int | None:
    return _tables.crc32c("\n".join(map(str, names)).encode()) if names else None
