import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from zcfast.search import exact

SIZES = st.integers(1, 12)
SCALES = st.sampled_from([1e-200, 1e-8, 1.0, 3.7, 1e120])


def matrices(seed, *shape, scale=1.0):
    """Matrices with magnitudes far apart."""
    generator = torch.Generator().manual_seed(seed)
    normal = torch.randn(*shape, generator=generator, dtype=torch.float64)
    return normal * torch.randn(*shape, generator=generator, dtype=torch.float64).exp() * scale


@settings(deadline=None)
@given(seed=st.integers(0, 10**6), sizes=st.tuples(SIZES, SIZES, SIZES), scale=SCALES)
def test_rounded_numbers_are_multiples_of_a_power_of_two(seed, sizes, scale):
    given_ = matrices(seed, *sizes, scale=scale)
    rounded = exact.rounded(given_)
    for matrix, result in zip(given_, rounded, strict=True):
        exponent = torch.frexp(matrix.abs().max()).exponent
        integers = torch.ldexp(result, exact.BITS - exponent)
        assert torch.equal(integers, integers.round())
        assert integers.abs().max() <= 2**exact.BITS
        assert (torch.ldexp(matrix, exact.BITS - exponent) - integers).abs().max() <= 0.5
    assert torch.equal(exact.rounded(rounded), rounded)


@settings(deadline=None)
@given(seed=st.integers(0, 10**6), sizes=st.tuples(SIZES, SIZES, SIZES), inner=st.integers(1, 3000))
@pytest.mark.slow
def test_products_are_the_same_in_any_order(seed, sizes, inner):
    left, right = matrices(seed, sizes[0], sizes[1], inner), matrices(seed + 1, sizes[0], inner, sizes[2])
    result = exact.product(left, right)
    order = torch.randperm(inner, generator=torch.Generator().manual_seed(seed))
    assert torch.equal(exact.product(left[:, :, order], right[:, order]), result)
    assert torch.equal(exact.product(left[:1], right[:1]), result[:1])
    one_by_one = torch.zeros_like(result)
    for column, row in zip(exact.rounded(left).unbind(2), exact.rounded(right).unbind(1), strict=True):
        one_by_one += column[:, :, None] * row[:, None]
    assert torch.equal(one_by_one, result)
    bound = inner * 2.0**-exact.BITS * left.abs().amax((1, 2)) * right.abs().amax((1, 2)) * 2.1
    assert ((result - left @ right).abs().amax((1, 2)) <= bound).all()


@settings(deadline=None)
@given(seed=st.integers(0, 10**6), sizes=st.tuples(SIZES, SIZES, SIZES, SIZES))
def test_gradients_are_exact_products_too(seed, sizes):
    batch, m, k, n = sizes
    left = matrices(seed, batch, m, k).requires_grad_()
    right = matrices(seed + 1, batch, k, n).requires_grad_()
    given_ = matrices(seed + 2, batch, m, n)
    of_left, of_right = torch.autograd.grad(exact.product(left, right), (left, right), given_)
    assert torch.equal(of_left, exact.product(given_, right.mT))
    assert torch.equal(of_right, exact.product(left.mT, given_))


def test_zeros_stay_zeros_and_nan_and_inf_are_not_hidden():
    zeros = torch.zeros(2, 3, 4, dtype=torch.float64)
    assert torch.equal(exact.rounded(zeros), zeros)
    for value in (torch.nan, torch.inf, -torch.inf):
        spoilt = matrices(0, 2, 3, 4)
        spoilt[1, 0, 0] = value
        rounded = exact.rounded(spoilt)
        assert rounded[0].isfinite().all()
        assert rounded[1].isnan().any()


def test_the_sigmoid_is_one_and_monotonic():
    x = torch.linspace(-60, 60, 100_001, dtype=torch.float64)
    result = exact.sigmoid(x)
    torch.testing.assert_close(result, torch.sigmoid(x), rtol=0, atol=1e-6)
    assert (result.diff() >= 0).all()
    assert torch.equal(result + exact.sigmoid(-x), torch.ones_like(x))
    assert exact.sigmoid(torch.tensor(torch.nan, dtype=torch.float64)).isnan()


@pytest.mark.parametrize("place", [0, 3, 1000])
def test_the_sigmoid_of_a_number_does_not_depend_on_its_place(place):
    x = matrices(0, 1, 1, 1001)[0, 0]
    assert torch.equal(exact.sigmoid(x[place : place + 1]), exact.sigmoid(x)[place : place + 1])
