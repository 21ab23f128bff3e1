"""zcfast's own file of a table: Parquet, one column a metric and seed, every column with its checksum."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow
import torch

from zcfast.data.header import ACCURACIES
from zcfast.data.saved import open_saved, write_saved
from zcfast.tables.metric import Metric


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
        described.append({"name": name, **about, "values": labels})
    header = {"space": space, "headline": headline, "description": description, "metrics": described}
    # Plain and uncompressed, without checksums of pages beside those of columns: a mapped file is read at the speed of
    # memory.
    plain = {"compression": "none", "use_dictionary": False, "row_group_size": 1 << 30, "write_page_checksum": False}
    write_saved(path, ACCURACIES, header, pyarrow.table(columns), **plain)


def load(space: str, path: str | os.PathLike[str]) -> dict[str, Any]:
    """What `Table` takes, of what `save` wrote for the space of that name.

    Errors: ValueError for a table of another space, a damaged file and any other.
    """
    with open_saved(path, ACCURACIES) as file:
        header = file.header
        if header["space"] != space:
            raise ValueError(f"expected a table of {space}, got one of {header['space']}")
        labels = [label for metric in header["metrics"] for label in metric["values"]]
        arrow = file.read([*labels, *(["key"] if "key" in file.columns else [])])
        return {
            "space": header["space"],
            "metrics": {about["name"]: _metric(about, arrow) for about in header["metrics"]},
            "headline": tuple(header["headline"]),
            "description": header["description"],
            "names": tuple(arrow.column("key").to_pylist()) if "key" in arrow.column_names else (),
        }


def _metric(about: dict[str, Any], arrow: pyarrow.Table) -> Metric:
    rows = [_numbers(arrow, label) for label in about["values"]]
    named = {name: value for name, value in about.items() if name not in ("name", "values", "seeds")}
    return Metric(torch.from_numpy(np.stack(rows)), **named, seeds=tuple(about["seeds"]))


def _numbers(arrow: pyarrow.Table, label: str) -> np.ndarray[Any, np.dtype[Any]]:
    values: np.ndarray[Any, np.dtype[Any]] = np.asarray(arrow.column(label).to_numpy())
    if values.dtype.kind != "f":
        raise ValueError(f"got a damaged one: column {label!r} has no floats")
    return values


def _smallest(values: np.ndarray[Any, np.dtype[Any]]) -> np.ndarray[Any, np.dtype[Any]]:
    """The values as float32 where that loses nothing."""
    with np.errstate(over="ignore"):
        halved = values.astype(np.float32)
    return halved if np.array_equal(halved.astype(values.dtype), values, equal_nan=True) else values
