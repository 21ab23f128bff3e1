import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reductions import DTYPES, layouts, same_on_any_thread_count, tensors
from zcfast import ops, reference

pytestmark = pytest.mark.usefixtures("default_device")


def published(jacobian, k):
    """The published formula, by NumPy."""
    eigenvalues = np.linalg.eigvalsh(np.atleast_2d(np.corrcoef(jacobian.double().cpu().numpy())))
    return -np.sum(np.log(eigenvalues + k) + 1 / (eigenvalues + k))


@settings(deadline=None)
@given(st.data())
def test_equals_reference(data):
    rows, columns = data.draw(st.integers(1, 40)), data.draw(st.integers(60, 600))
    jacobian = data.draw(tensors((rows, columns), data.draw(st.sampled_from(DTYPES))))
    k = data.draw(st.sampled_from([1e-5, 1e-2, 1.0]))
    got, expected = ops.jacobian_correlation(jacobian, k), reference.jacobian_correlation(jacobian, k)
    torch.testing.assert_close(got, expected, rtol=1e-10, atol=0, equal_nan=True)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("rows", "columns"), [(1, 5), (2, 40), (7, 256), (8, 257), (9, 700), (64, 3072), (131, 515)])
@pytest.mark.parametrize("layout", ["contiguous", "reversed_dims", "with_gaps", "unaligned"])
def test_equals_the_published_formula(dtype, rows, columns, layout):
    jacobian = layouts[layout](torch.randn(rows, columns).to(dtype))
    got = ops.jacobian_correlation(jacobian)
    assert got.shape == ()
    assert got.dtype == torch.float64
    assert got.item() == pytest.approx(published(jacobian, 1e-5), rel=1e-10)


@pytest.mark.parametrize("mean", [1e3, 1e6])
def test_a_large_mean_does_not_cancel(mean):
    integers = torch.randint(-8, 8, (20, 500)).double()
    # Adding an integer loses nothing, so the correlations, and the value, are those of the integers.
    assert ops.jacobian_correlation(integers + mean).item() == pytest.approx(published(integers, 1e-5), rel=1e-10)
    assert ops.jacobian_correlation((integers + mean).float()).item() == pytest.approx(
        published(integers, 1e-5), rel=1e-10
    )


def test_a_singular_matrix_is_limited_by_k():
    # 30 columns leave at most 29 eigenvalues above zero; the others are rounding errors beside k.
    jacobian = torch.randn(80, 30, dtype=torch.float64)
    assert ops.jacobian_correlation(jacobian).item() == pytest.approx(published(jacobian, 1e-5), rel=1e-8)
    twice = torch.cat([jacobian[:5], jacobian[:5]])
    assert ops.jacobian_correlation(twice).item() == pytest.approx(published(twice, 1e-5), rel=1e-8)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("rows", [64, 300])
def test_thread_count_changes_no_bit(dtype, rows):
    jacobian = torch.randn(rows, 2000).to(dtype)
    same_on_any_thread_count(lambda: ops.jacobian_correlation(jacobian))


def test_small_sizes():
    assert ops.jacobian_correlation(torch.ones(0, 5)).item() == 0
    assert ops.jacobian_correlation(torch.ones(0, 0)).item() == 0
    one = torch.tensor([[1.0, 2.0, 4.0]])
    assert ops.jacobian_correlation(one, 0.5).item() == pytest.approx(-(math.log(1.5) + 1 / 1.5), rel=1e-14)
    assert ops.jacobian_correlation(torch.ones(3, 0)).isnan()
    assert ops.jacobian_correlation(torch.ones(3, 1)).isnan()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("row", ["constant", "nan", "inf"])
@pytest.mark.parametrize("operator", [ops.jacobian_correlation, reference.jacobian_correlation])
def test_a_row_without_correlations_gives_nan(dtype, row, operator):
    jacobian = torch.randn(10, 100).to(dtype)
    if row == "constant":
        jacobian[3] = 0.1  # the mean of equal numbers, rounded, need not be that number
    else:
        jacobian[3, 50] = float(row)
    assert operator(jacobian).isnan()


def test_without_a_kernel_the_reference_runs(monkeypatch):
    monkeypatch.setattr(ops._native, "has_kernel", lambda operator, device_type: False)
    monkeypatch.setattr(reference, "jacobian_correlation", lambda *arguments: "reference")
    assert ops.jacobian_correlation(torch.randn(4, 9)) == "reference"


@pytest.mark.parametrize(
    ("jacobian", "k", "message"),
    [
        (torch.ones(3), 1e-5, r"jacobian: expected shape \[\*, \*\], got \[3\]"),
        (torch.ones(3, 3).int(), 1e-5, "jacobian: expected dtype Double.*got Int"),
        (torch.ones(3, 3), -1.0, "k: expected a finite number of at least 0, got -1"),
        (torch.ones(3, 3), math.nan, "k: expected a finite number of at least 0, got nan"),
        (torch.ones(3, 3), math.inf, "k: expected a finite number of at least 0, got inf"),
    ],
)
def test_errors_name_the_argument(jacobian, k, message):
    with pytest.raises(RuntimeError, match=message):
        ops.jacobian_correlation(jacobian, k)
