"""What every function here takes: columns of numbers, from whatever library holds them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import torch
import torch.utils.dlpack
from torch import Tensor

from zcfast.errors import integer
from zcfast.order import best_first

# A torch tensor, numpy array, pandas or polars Series, pyarrow array, sequence of numbers, or any other object with
# __array__ or DLPack's __dlpack__.
Column: TypeAlias = Any


def as_column(values: Column, name: str) -> Tensor:
    """A column on the CPU in an exact dtype: float64 for floating-point numbers, int64 for integers; any shape.

    A missing value (None, a null of pyarrow or polars, NA of pandas) becomes NaN, and integers beside one float64.
    Errors: ValueError for what holds no real numbers (text, booleans, complex) and for integers of 2^63 or more.
    """
    tensor = values.detach() if isinstance(values, Tensor) else _to_tensor(values, name)
    if tensor.dtype == torch.bool or tensor.is_complex():
        raise ValueError(f"{name}: expected real numbers, got {str(tensor.dtype).removeprefix('torch.')}")
    return tensor.cpu().to(torch.float64 if tensor.is_floating_point() else torch.int64)


def aligned(columns: Mapping[str, Column]) -> list[Tensor]:
    """The columns, each [N], as `as_column` makes them; the keys name them in errors.

    Errors: ValueError for no column, columns that are not one-dimensional and of one length, those of `as_column`.
    """
    if not columns:
        raise ValueError("columns: expected one or more, got none")
    tensors = [as_column(column, name) for name, column in columns.items()]
    if any(tensor.dim() != 1 or tensor.shape != tensors[0].shape for tensor in tensors):
        came = " and ".join(str(list(tensor.shape)) for tensor in tensors)
        raise ValueError(f"{' and '.join(columns)}: expected one shape [N], got {came}")
    return tensors


def complete_rows(columns: list[Tensor]) -> Tensor:
    """In which rows no column [N] is NaN, bool [N]."""
    # numpy: passes as short as these wait for torch's second thread where another process has its core.
    missing = [np.isnan(column.numpy()) for column in columns]
    return torch.from_numpy(~np.logical_or.reduce(missing))


def selected(columns: list[Tensor], rows: Tensor) -> list[Tensor]:
    """The rows that `rows`, bool [N], marks of each column [N]; the columns themselves where that is all."""
    return columns if rows.numpy().all() else [column[rows] for column in columns]


def scores_and_accuracies(scores: Column, accuracies: Column) -> tuple[Tensor, Tensor]:
    """The two columns that a metric compares, each [n], of the n rows in which neither is NaN; errors of `aligned`."""
    columns = aligned({"scores": scores, "accuracies": accuracies})
    scores, accuracies = selected(columns, complete_rows(columns))
    return scores, accuracies


def codes(column: Tensor) -> Tensor:
    """Integers [N] from 0 that compare as the values [N] do, int64; equal values have equal codes."""
    return torch.from_numpy(np.unique(column.numpy(), return_inverse=True)[1])


def check_count(k: int) -> None:
    """Raise a ValueError if `k` is no number of rows."""
    if integer("k", k) < 1:
        raise ValueError(f"k: expected a number of rows >= 1, got {k}")


def check_fraction(fraction: float) -> None:
    """Raise a ValueError if `fraction` is no share of the rows."""
    if not 0 < fraction <= 1:
        raise ValueError(f"fraction: expected a number in (0, 1], got {fraction}")


def within_top(accuracies: Tensor, fraction: float) -> Tensor:
    """Which rows belong to the most accurate `fraction`, bool [N]; at least one row, and all that equal the last."""
    check_fraction(fraction)
    return within_top_k(accuracies, rows_in(fraction, len(accuracies)))


def within_top_k(accuracies: Tensor, k: int) -> Tensor:
    """Which rows belong to the k most accurate, bool [N]; more than k where rows equal the k-th."""
    size = len(accuracies)
    if not size:
        return torch.zeros(0, dtype=torch.bool)
    return accuracies >= accuracies.kthvalue(size - min(k, size) + 1).values


def best_scored(scores: Tensor, k: int) -> Tensor:
    """Rows of the k highest scores, best first, int64 [min(k, N)]; of equal scores the lower row is the better one."""
    candidates = within_top_k(scores, k).nonzero()[:, 0]
    return candidates[best_first(scores[candidates])[:k]]


def rows_in(fraction: float, size: int) -> int:
    """How many of `size` rows a fraction is: the nearest whole number, at least 1."""
    return max(1, round(fraction * size))


def _to_tensor(values: Column, name: str) -> Tensor:
    if hasattr(values, "__dlpack__") and not hasattr(values, "__array__"):
        return torch.utils.dlpack.from_dlpack(values)
    array = np.asarray(values)
    if array.dtype.kind == "O":
        array = _without_objects(values, name)
    if array.dtype.kind not in "iuf":
        raise ValueError(f"{name}: expected real numbers, got {array.dtype}")
    if array.dtype.kind == "u" and array.size and int(array.max()) > np.iinfo(np.int64).max:
        raise ValueError(f"{name}: expected integers below 2^63, got {array.max()}")
    # A copy: torch takes no array that is read-only, reversed or in the other byte order.
    return torch.from_numpy(array.astype(np.float64 if array.dtype.kind == "f" else np.int64, order="C"))


def _without_objects(values: Column, name: str) -> np.ndarray[Any, np.dtype[Any]]:
    """Python numbers and missing values as an array of numbers."""
    import pyarrow

    try:
        array: np.ndarray[Any, np.dtype[Any]] = pyarrow.array(values, from_pandas=True).to_numpy(zero_copy_only=False)
    except pyarrow.ArrowException as error:
        raise ValueError(f"{name}: expected real numbers, got objects that are none") from error
    return array
