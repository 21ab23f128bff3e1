import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given, settings
from hypothesis import strategies as st

import zcfast.passes.flow.pair_rules  # noqa: F401  registers the operator
from tests.reductions import DTYPES, same_on_any_thread_count

operator = torch.ops.zcfast.flow_convolution.default


def convolve(pairs, weight, count, *padding, stride=(1, 1)):
    return operator(pairs, weight, count, *stride, *padding)


def expected(pairs, weight, count, padding, stride=(1, 1)):
    maps = F.conv2d(pairs.flatten(0, 1), weight.double().abs(), stride=stride, padding=padding)
    maps = maps.unflatten(0, (len(pairs), -1))
    return maps if len(pairs) == 1 else torch.stack([maps[0], maps[1] + count * maps[0]])


def drawn(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def assert_equals_torch(seed, parts, batch, channels, size, kernel, padding, count, dtype, stride=(1, 1)):
    size = tuple(max(s, k - 2 * p) for s, k, p in zip(size, kernel, padding, strict=True))
    pairs = drawn(parts, batch, channels[0], *size, seed=seed)
    weight = (drawn(channels[1], channels[0], *kernel, seed=seed + 1) - 0.5).to(dtype)
    got = convolve(pairs, weight, count, *padding, stride=stride)
    assert torch.allclose(got, expected(pairs, weight, count, padding, stride), rtol=1e-13, atol=0)


@settings(deadline=None)
@given(
    seed=st.integers(0, 99),
    parts=st.integers(1, 2),
    batch=st.integers(1, 3),
    channels=st.tuples(st.integers(1, 9), st.integers(1, 13)),
    size=st.tuples(st.integers(1, 11), st.integers(1, 20)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    padding=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    count=st.integers(0, 3),
    dtype=st.sampled_from(DTYPES),
    stride=st.tuples(st.integers(1, 4), st.integers(1, 4)),
)
def test_equals_torch(seed, parts, batch, channels, size, kernel, padding, count, dtype, stride):
    assert_equals_torch(seed, parts, batch, channels, size, kernel, padding, count, dtype, stride)


@settings(deadline=None)
@given(
    seed=st.integers(0, 99),
    parts=st.integers(1, 2),
    batch=st.integers(1, 3),
    channels=st.tuples(st.integers(32, 70), st.integers(1, 30)),
    size=st.tuples(st.integers(1, 20), st.integers(1, 70)),
    padding=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    count=st.integers(0, 3),
    dtype=st.sampled_from(DTYPES),
)
def test_many_channels_by_three_by_three(seed, parts, batch, channels, size, padding, count, dtype):
    """By Winograd's algorithm: odd edges, rows of tiles that cross from strip to strip, several groups of outputs."""
    assert_equals_torch(seed, parts, batch, channels, size, (3, 3), padding, count, dtype)


@pytest.mark.parametrize("edge", [80, 100])  # the transformed input within its limit, and beyond
def test_large_maps(edge):
    pairs, weight = drawn(2, 1, 32, edge, edge), drawn(3, 32, 3, 3) - 0.5
    assert torch.allclose(convolve(pairs, weight, 1, 1, 1), expected(pairs, weight, 1, 1), rtol=1e-13, atol=0)


def test_rounding_is_relative_to_the_inputs_near_by():
    pairs, weight = drawn(2, 1, 40, 16, 16), drawn(8, 40, 3, 3)
    pairs[:, :, :, 8:] *= 1e200
    got, right = convolve(pairs, weight, 1, 1, 1), expected(pairs, weight, 1, 1)
    assert torch.allclose(got[..., :6], right[..., :6], rtol=1e-13, atol=0)
    assert torch.allclose(got[..., 7:], right[..., 7:], rtol=1e-13, atol=0)


@pytest.mark.parametrize("channels", [1, 63, 64, 65, 200])  # one block of channels, and more
def test_blocks_of_channels(channels):
    pairs, weight = drawn(2, 1, channels, 5, 9), drawn(7, channels, 3, 3) - 0.5
    assert torch.allclose(convolve(pairs, weight, 1, 1, 1), expected(pairs, weight, 1, 1), rtol=1e-13, atol=0)


def test_any_strides():
    pairs = drawn(2, 3, 8, 8, 5).movedim(-1, 2)
    weight = (drawn(3, 3, 5, 4) - 0.5).permute(3, 2, 0, 1)
    assert torch.allclose(convolve(pairs, weight, 2, 1, 1), expected(pairs, weight, 2, 1), rtol=1e-13, atol=0)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("channels", [2, 40])
def test_nan_and_inf_propagate(value, channels):
    pairs, weight = drawn(2, 1, channels, 6, 6), drawn(3, channels, 3, 3)
    weight[1, 0, 0, 0] = value
    got = convolve(pairs, weight, 1, 0, 0)
    assert torch.equal(got.isfinite(), expected(pairs, weight, 1, 0).isfinite())
    assert not got[:, :, 1].isfinite().any()


@pytest.mark.parametrize("channels", [2, 40])
def test_inf_of_an_input_stays_near_by(channels):
    pairs, weight = drawn(2, 1, channels, 12, 12), drawn(3, channels, 3, 3)
    pairs[0, 0, 1, 5, 5] = torch.inf
    got = convolve(pairs, weight, 0, 1, 1)
    assert not got[0, 0, :, 4:7, 4:7].isfinite().any()  # whose windows hold it
    got[0, 0, :, 4:8, 4:8] = 0  # the tiles that hold one
    assert got.isfinite().all()


@pytest.mark.parametrize("shape", [(2, 0, 3, 4, 4), (2, 1, 0, 4, 4), (1, 1, 0, 4, 4), (2, 0, 40, 4, 4)])
def test_empty(shape):
    weight = drawn(5, shape[2], 3, 3)
    got = convolve(torch.zeros(shape, dtype=torch.float64), weight, 1, 1, 1)
    assert got.shape == (shape[0], shape[1], 5, 4, 4)
    assert not got.any()


def test_same_bits_on_any_thread_count():
    pairs, weight = drawn(2, 1, 40, 17, 13), drawn(50, 40, 3, 3) - 0.5
    same_on_any_thread_count(lambda: convolve(pairs, weight, 1, 1, 1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"input": torch.zeros(2, 1, 3, 4, 4)}, "input: expected dtype Double, got Float"),
        ({"input": drawn(3, 1, 3, 4, 4)}, r"\[1 or 2, \*, \*, \*, \*\], got \[3, 1, 3, 4, 4\]"),
        ({"weight": drawn(5, 2, 3, 3)}, r"weight: expected shape \[\*, 3, \*, \*\], got \[5, 2, 3, 3\]"),
        ({"weight": torch.zeros(5, 3, 3, 3, dtype=torch.int64)}, "weight: expected dtype Double, Float"),
        ({"weight": drawn(5, 3, 7, 3)}, r"fits in the padded input, got \[5, 3, 7, 3\]"),
        ({"count": -1}, "count: expected 0 to"),
        ({"stride_height": 0}, "stride_height: expected 1 to"),
        ({"pad_width": -1}, "pad_width: expected 0 to"),
    ],
)
def test_errors(change, message):
    arguments = {
        "input": drawn(2, 1, 3, 4, 4),
        "weight": drawn(5, 3, 3, 3),
        "count": 1,
        "stride_height": 1,
        "stride_width": 1,
        "pad_height": 1,
        "pad_width": 1,
    }
    with pytest.raises(RuntimeError, match=f"zcfast::flow_convolution: .*{message}"):
        operator(**{**arguments, **change})
