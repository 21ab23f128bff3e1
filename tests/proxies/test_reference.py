"""The reductions in plain PyTorch, that compiled operators are checked against."""

import math

import pytest
import torch

from zcfast.reference import fisher_reduce, jacobian_correlation, saliency_reduce

KINDS = ["abs_product", "product", "square"]


def test_saliency_by_hand():
    weights = [torch.tensor([1.0, -2.0]), torch.tensor([[3.0]]), torch.zeros(0)]
    grads = [torch.tensor([4.0, 5.0]), torch.tensor([[-6.0]]), torch.zeros(0)]
    got = saliency_reduce(weights, grads, KINDS)
    assert got.dtype == torch.float64
    assert got.tolist() == [[14, 18, 0], [-6, -18, 0], [41, 36, 0]]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_saliency_sums_in_float64(dtype):
    weight, grad = torch.full((3001,), 0.1, dtype=dtype), torch.full((3001,), 0.3, dtype=dtype)
    term = weight[0].double() * grad[0].double()
    got = saliency_reduce([weight], [grad], ["abs_product"])
    assert got.item() == pytest.approx(3001 * term.item(), rel=1e-13)


def test_saliency_strides_and_non_numbers():
    weight, grad = torch.randn(4, 6).double(), torch.randn(6, 4).double()
    assert torch.equal(
        saliency_reduce([weight], [grad.T], KINDS), saliency_reduce([weight.clone()], [grad.T.contiguous()], KINDS)
    ) or torch.allclose(saliency_reduce([weight], [grad.T], KINDS), saliency_reduce([weight], [grad.T.clone()], KINDS))
    grad[0, 0] = math.nan
    assert saliency_reduce([weight], [grad.T], KINDS).isnan().all()


def test_saliency_of_nothing_and_of_squares_alone():
    assert saliency_reduce([], [], KINDS).shape == (3, 0)
    assert saliency_reduce([], [torch.tensor([3.0, 4.0])], ["square"]).tolist() == [[25.0]]


@pytest.mark.parametrize(
    ("weights", "kinds", "message"),
    [
        ([torch.ones(2)], ["cube"], "kinds: expected any of"),
        ([], ["product"], r"grads: expected one a weight \(0\), got 1"),
        ([torch.ones(3)], ["product"], r"grads\[0\]: expected shape \(3,\), got \(2,\)"),
    ],
)
def test_saliency_errors(weights, kinds, message):
    with pytest.raises(ValueError, match=message):
        saliency_reduce(weights, [torch.ones(2)], kinds)


@pytest.mark.parametrize("channel_dim", [1, 2, 3])
def test_fisher_by_loops(channel_dim):
    a, g = torch.randn(2, 3, 4, 2, 5).double().unbind(-1)[:2]
    spatial, elementwise = fisher_reduce(a, g, channel_dim), fisher_reduce(a, g, channel_dim, elementwise=True)
    for k in range(a.shape[channel_dim]):
        product = (a * g).select(channel_dim, k).reshape(2, -1)
        assert spatial[k].item() == pytest.approx((product.sum(1) ** 2).mean().item() / 2)
        assert elementwise[k].item() == pytest.approx((product**2).sum(1).mean().item() / 2)


def test_fisher_without_space():
    a, g = torch.randn(2, 3).double(), torch.randn(2, 3).double()
    assert torch.equal(fisher_reduce(a, g, 1), fisher_reduce(a, g, 1, elementwise=True))


def test_fisher_errors():
    with pytest.raises(ValueError, match="gradient: expected shape"):
        fisher_reduce(torch.ones(2, 3), torch.ones(3, 2), 1)
    for channel_dim in (0, 2, -1):
        with pytest.raises(ValueError, match="channel_dim: expected 1 to 1"):
            fisher_reduce(torch.ones(2, 3), torch.ones(2, 3), channel_dim)


@pytest.mark.parametrize("samples", [1, 2, 7])
def test_jacobian_by_eigenvalues(samples):
    rows = torch.randn(samples, 20, dtype=torch.float64)
    eigenvalues = torch.linalg.eigvalsh(torch.corrcoef(rows).reshape(samples, samples))
    expected = -(torch.log(eigenvalues + 1e-3) + 1 / (eigenvalues + 1e-3)).sum().item()
    assert jacobian_correlation(rows, k=1e-3).item() == pytest.approx(expected, rel=1e-11)
    assert jacobian_correlation(3 * rows + 1, k=1e-3).item() == pytest.approx(expected, rel=1e-9)


def test_jacobian_of_a_constant_row_is_not_a_number():
    assert jacobian_correlation(torch.tensor([[1.0, 2.0, 4.0], [2.0, 2.0, 2.0]])).isnan()
    assert jacobian_correlation(torch.tensor([[1.0, 2.0], [math.nan, 2.0]])).isnan()
    with pytest.raises(ValueError, match="jacobian: expected two dimensions"):
        jacobian_correlation(torch.ones(3))
