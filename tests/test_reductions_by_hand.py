"""The reductions by hand: the operators and the reference that they are checked against."""

import pytest
import torch

from zcfast import ops, reference

pytestmark = pytest.mark.parametrize("code", [ops, reference], ids=["ops", "reference"])
KINDS = ["abs_product", "product", "square"]


def test_saliency_by_hand(code):
    weights = [torch.tensor([1.0, -2.0]), torch.tensor([[3.0]]), torch.zeros(0)]
    grads = [torch.tensor([4.0, 5.0]), torch.tensor([[-6.0]]), torch.zeros(0)]
    got = code.saliency_reduce(weights, grads, KINDS)
    assert got.dtype == torch.float64
    assert got.tolist() == [[14, 18, 0], [-6, -18, 0], [41, 36, 0]]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_saliency_sums_without_loss(dtype, code):
    weight, grad = torch.full((3001,), 0.1, dtype=dtype), torch.full((3001,), 0.3, dtype=dtype)
    term = weight[0].double() * grad[0].double()
    got = code.saliency_reduce([weight], [grad], ["abs_product"])
    assert got.item() == pytest.approx(
        3001 * term.item(), rel=1e-13 if dtype in (torch.float64, torch.float32) else 1e-6
    )


@pytest.mark.parametrize("channel_dim", [1, 2, 3])
def test_fisher_by_loops(channel_dim, code):
    a, g = torch.randn(2, 3, 4, 2, 5).double().unbind(-1)[:2]
    spatial, elementwise = (
        code.fisher_reduce(a, g, channel_dim),
        code.fisher_reduce(a, g, channel_dim, elementwise=True),
    )
    for k in range(a.shape[channel_dim]):
        product = (a * g).select(channel_dim, k).reshape(2, -1)
        assert spatial[k].item() == pytest.approx((product.sum(1) ** 2).mean().item() / 2)
        assert elementwise[k].item() == pytest.approx((product**2).sum(1).mean().item() / 2)


def test_fisher_without_space(code):
    a, g = torch.randn(2, 3).double(), torch.randn(2, 3).double()
    # Not bit for bit: one of the two may fuse a product with the sum that follows.
    torch.testing.assert_close(
        code.fisher_reduce(a, g, 1), code.fisher_reduce(a, g, 1, elementwise=True), rtol=1e-14, atol=0
    )


@pytest.mark.parametrize("samples", [1, 2, 7])
def test_jacobian_by_eigenvalues(samples, code):
    rows = torch.randn(samples, 20, dtype=torch.float64)
    eigenvalues = torch.linalg.eigvalsh(torch.corrcoef(rows).reshape(samples, samples))
    expected = -(torch.log(eigenvalues + 1e-3) + 1 / (eigenvalues + 1e-3)).sum().item()
    assert code.jacobian_correlation(rows, k=1e-3).item() == pytest.approx(expected, rel=1e-11)
    assert code.jacobian_correlation(3 * rows + 1, k=1e-3).item() == pytest.approx(expected, rel=1e-9)
