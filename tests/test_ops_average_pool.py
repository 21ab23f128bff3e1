import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given, settings
from hypothesis import strategies as st

import zcfast.tracing.pools  # noqa: F401  registers the operator
from tests.reductions import same_on_any_thread_count

pool = torch.ops.zcfast.average_pool


def drawn(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@settings(deadline=None)
@given(
    seed=st.integers(0, 99),
    maps=st.tuples(st.integers(1, 3), st.integers(1, 5)),
    size=st.tuples(st.integers(1, 9), st.integers(1, 20)),
    window=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    padding=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    count_include_pad=st.booleans(),
)
def test_equals_torch(seed, maps, size, window, padding, count_include_pad):
    padding = tuple(min(p, w // 2) for p, w in zip(padding, window, strict=True))
    size = tuple(max(s, w - 2 * p) for s, w, p in zip(size, window, padding, strict=True))
    x = drawn(*maps, *size, seed=seed)
    expected = F.avg_pool2d(x, window, 1, padding, False, count_include_pad)
    assert torch.allclose(pool(x, *window, *padding, count_include_pad), expected, rtol=1e-14, atol=0)


def test_any_strides():
    x = drawn(2, 5, 6, 3).movedim(-1, 1)
    assert torch.equal(pool(x, 3, 3, 1, 1, False), pool(x.contiguous(), 3, 3, 1, 1, False))


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_nan_and_inf_reach_their_windows_only(value):
    x = drawn(1, 2, 5, 6)
    x[0, 1, 2, 3] = value
    expected = F.avg_pool2d(x, 3, 1, 1, False, False)
    assert torch.equal(pool(x, 3, 3, 1, 1, False).isfinite(), expected.isfinite())


@pytest.mark.parametrize("shape", [(0, 3, 4, 4), (2, 0, 4, 4)])
def test_empty(shape):
    assert pool(torch.zeros(shape, dtype=torch.float64), 3, 3, 1, 1, True).shape == shape


def test_same_bits_on_any_thread_count():
    x = drawn(5, 30, 9, 9)
    same_on_any_thread_count(lambda: pool(x, 3, 3, 1, 1, False))


def test_opcheck():
    torch.library.opcheck(pool.default, (drawn(2, 3, 6, 5), 3, 2, 1, 0, False))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"input": torch.zeros(1, 3, 4, 4)}, "input: expected dtype Double, got Float"),
        ({"input": drawn(3, 4, 4)}, r"input: expected shape \[\*, \*, \*, \*\], got \[3, 4, 4\]"),
        ({"input": drawn(1, 3, 1, 4), "pad_height": 0}, r"hold a window of 3 x 3, got \[1, 3, 1, 4\]"),
        ({"height": 0}, "height: expected 1 to"),
        ({"pad_width": 2}, "pad_width: expected 0 to 1, got 2"),
    ],
)
def test_errors(change, message):
    arguments = {
        "input": drawn(1, 3, 4, 4),
        "height": 3,
        "width": 3,
        "pad_height": 1,
        "pad_width": 1,
        "count_include_pad": False,
    }
    with pytest.raises(RuntimeError, match=f"zcfast::average_pool: .*{message}"):
        pool(**{**arguments, **change})
