import math

import numpy as np
import pyarrow
import pytest
import torch

from zcfast.analysis import rank_sum, spearman
from zcfast.analysis.columns import as_column

VALUES = [3.0, -math.inf, math.nan, 0.5]


class OnlyDlpack:
    def __init__(self, tensor):
        self._tensor = tensor

    def __dlpack__(self, **options):
        return self._tensor.__dlpack__(**options)

    def __dlpack_device__(self):
        return self._tensor.__dlpack_device__()


def read_only(values):
    array = np.array(values)
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    "values",
    [
        VALUES,
        torch.tensor(VALUES),
        torch.tensor(VALUES, dtype=torch.bfloat16),
        torch.tensor(VALUES, requires_grad=True),
        np.array(VALUES, dtype=np.float16),
        np.array(VALUES, dtype=">f4"),
        np.array(VALUES[::-1])[::-1],
        np.array(VALUES, dtype=np.longdouble),
        read_only(VALUES),
        pyarrow.array(VALUES),
        pyarrow.array([3.0, -math.inf, None, 0.5]),
        pyarrow.chunked_array([VALUES[:1], VALUES[1:]]),
        [3.0, -math.inf, None, 0.5],
        np.array([3, -math.inf, None, 0.5], dtype=object),
        OnlyDlpack(torch.tensor(VALUES)),
    ],
)
def test_columns_of_numbers(values):
    column = as_column(values, "scores")
    assert (column.dtype, column.requires_grad) == (torch.float64, False)
    np.testing.assert_array_equal(column.numpy(), VALUES)


@pytest.mark.parametrize(
    "values",
    [
        [2, -1],
        torch.tensor([2, -1], dtype=torch.int8),
        np.array([2, -1], dtype=np.int16),
        pyarrow.array([2, -1], pyarrow.int32()),
    ],
)
def test_integers_stay_integers(values):
    column = as_column(values, "scores")
    assert column.dtype == torch.int64
    assert column.tolist() == [2, -1]


def test_integers_with_a_missing_value():
    assert as_column(pyarrow.array([2, None]), "scores")[0] == 2
    assert as_column([2, None], "scores")[1].isnan()
    assert as_column(np.array([2**63 - 1], dtype=np.uint64), "scores").tolist() == [2**63 - 1]


@pytest.mark.parametrize("name", ["pandas", "polars"])
def test_series_of_data_frames(name):
    library = pytest.importorskip(name)
    np.testing.assert_array_equal(as_column(library.Series(VALUES), "scores").numpy(), VALUES)
    assert spearman(library.Series([1, 2, 3]), library.Series([0.3, 0.2, 0.1])) == -1
    missing = library.Series([2, None], dtype="Int64") if name == "pandas" else library.Series([2, None])
    np.testing.assert_array_equal(as_column(missing, "scores").numpy(), [2, math.nan])
    assert rank_sum(library.Series([5, 7])).tolist() == [1, 2]


@pytest.mark.parametrize(
    ("values", "came"),
    [
        (["a", "b"], "<U1"),
        (torch.tensor([True]), "bool"),
        ([True], "bool"),
        (torch.tensor([1j]), "complex64"),
        (np.array([object()]), "objects"),
        (pyarrow.array(["a", None]), "objects|object"),
        (np.array([2**63], dtype=np.uint64), "below 2\\^63, got 9223372036854775808"),
    ],
)
def test_other_columns_are_refused(values, came):
    with pytest.raises(ValueError, match=rf"scores: expected .*({came})"):
        as_column(values, "scores")
