import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reductions import DTYPES, layouts, same_on_any_thread_count, shapes, tensors
from zcfast import ops, reference

pytestmark = pytest.mark.usefixtures("default_device")


def assert_close(activation, gradient, channel_dim, elementwise):
    got = ops.fisher_reduce(activation, gradient, channel_dim, elementwise)
    expected = reference.fisher_reduce(activation, gradient, channel_dim, elementwise)
    assert got.shape == expected.shape == (activation.shape[channel_dim],)
    assert got.dtype == torch.float64
    # A signed sum is as exact as the sum of its magnitudes; only float64 and the elementwise variant sum in float64.
    scale = reference.fisher_reduce(activation.double().abs(), gradient.double().abs(), channel_dim, elementwise)
    tolerance = 1e-13 if elementwise or activation.dtype == torch.float64 else 4e-6
    assert torch.equal(got.isnan(), expected.isnan())
    assert ((got - expected).abs() <= 2 * tolerance * scale)[~expected.isnan()].all()


@settings(deadline=None)
@given(st.data())
def test_equals_reference(data):
    shape, dtype = data.draw(shapes(min_dims=2, max_dims=5)), data.draw(st.sampled_from(DTYPES))
    channel_dim = data.draw(st.integers(1, len(shape) - 1)) - data.draw(st.sampled_from([0, len(shape)]))
    activation, gradient = (data.draw(tensors(shape, dtype)) for _ in range(2))
    assert_close(activation, gradient, channel_dim, data.draw(st.booleans()))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("elementwise", [False, True])
@pytest.mark.parametrize(
    ("shape", "channel_dim"),
    [
        ((3, 20, 31, 33), 1),  # more than one block of positions
        ((2, 5, 7, 7), 1),
        ((4, 50, 1, 1), 1),
        ((4, 50), 1),
        ((2, 19, 24), -1),
        ((1, 9000, 70), -1),  # more than one chunk of positions
        ((3, 6, 40, 5), 2),
        ((2, 1, 300), 1),
    ],
)
@pytest.mark.parametrize("layout", layouts)
def test_layouts(dtype, elementwise, shape, channel_dim, layout):
    activation, gradient = (layouts[layout](torch.randn(shape).to(dtype)) for _ in range(2))
    assert_close(activation, gradient, channel_dim, elementwise)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", ["contiguous", "channels_last"])
def test_thread_count_changes_no_bit(dtype, layout):
    activation, gradient = (layouts[layout](torch.randn(5, 24, 71, 73).to(dtype)) for _ in range(2))
    same_on_any_thread_count(lambda: ops.fisher_reduce(activation, gradient, 1))


def test_empty():
    assert ops.fisher_reduce(torch.ones(3, 0, 4), torch.ones(3, 0, 4), 1).shape == (0,)
    assert ops.fisher_reduce(torch.ones(3, 2, 0), torch.ones(3, 2, 0), 1).tolist() == [0, 0]
    assert ops.fisher_reduce(torch.ones(3, 0, 2), torch.ones(3, 0, 2), 2).tolist() == [0, 0]
    assert ops.fisher_reduce(torch.ones(0, 2, 4), torch.ones(0, 2, 4), 1).isnan().all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", ["contiguous", "channels_last"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_nan_and_inf_stay_in_their_channel(dtype, layout, value):
    activation, gradient = torch.ones(2, 3, 9, 9, dtype=dtype), torch.ones(2, 3, 9, 9, dtype=dtype)
    activation[1, 2, 3, 4] = value
    activation, gradient = layouts[layout](activation), layouts[layout](gradient)
    expected = reference.fisher_reduce(activation, gradient, 1)
    torch.testing.assert_close(ops.fisher_reduce(activation, gradient, 1), expected, equal_nan=True)
    assert expected[:2].isfinite().all()


@pytest.mark.parametrize("layout", ["contiguous", "channels_last"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_products_that_overflow_float32(dtype, layout):
    activation, gradient = (layouts[layout]((torch.rand(2, 3, 9, 9) * 1e30).to(dtype)) for _ in range(2))
    expected = reference.fisher_reduce(activation, gradient, 1)
    torch.testing.assert_close(ops.fisher_reduce(activation, gradient, 1), expected, rtol=1e-12, atol=0)


def test_without_a_kernel_the_reference_runs(monkeypatch):
    monkeypatch.setattr(ops._native, "has_kernel", lambda operator, device_type: False)
    monkeypatch.setattr(reference, "fisher_reduce", lambda *arguments: "reference")
    assert ops.fisher_reduce(torch.ones(2, 3), torch.ones(2, 3), 1) == "reference"


@pytest.mark.parametrize(
    ("activation", "gradient", "channel_dim", "message"),
    [
        (torch.ones(2, 3), torch.ones(2, 4), 1, r"gradient: expected shape \[2, 3\], got \[2, 4\]"),
        (torch.ones(2, 3), torch.ones(2, 3).half(), 1, "gradient: expected dtype Float, got Half"),
        (torch.ones(2, 3).long(), torch.ones(2, 3).long(), 1, "activation: expected dtype Double.*got Long"),
        (torch.ones(2, 3), torch.ones(2, 3), 0, r"channel_dim: expected a dimension after the first.*got 0"),
        (torch.ones(2, 3), torch.ones(2, 3), 2, r"channel_dim: expected a dimension after the first.*got 2"),
        (torch.ones(2, 3), torch.ones(2, 3), -3, r"channel_dim: expected a dimension after the first.*got -3"),
    ],
)
def test_errors_name_the_argument(activation, gradient, channel_dim, message):
    with pytest.raises(RuntimeError, match=message):
        ops.fisher_reduce(activation, gradient, channel_dim)
