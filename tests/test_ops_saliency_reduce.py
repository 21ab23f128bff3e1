import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reductions import DTYPES, layouts, same_on_any_thread_count, shapes, tensors
from zcfast import ops, reference

pytestmark = pytest.mark.usefixtures("default_device")

KINDS = ("abs_product", "product", "square")
# float64 sums of exact products, but float32 blocks for the 16-bit types.
TOLERANCE = {torch.float64: 1e-13, torch.float32: 1e-13, torch.bfloat16: 4e-6, torch.float16: 4e-6}


def assert_close(weights, grads, kinds=KINDS):
    got = ops.saliency_reduce(weights, grads, kinds)
    expected = reference.saliency_reduce(weights, grads, kinds)
    assert got.shape == expected.shape == (len(kinds), len(weights))
    assert got.dtype == torch.float64
    # A signed sum is as exact as the sum of its magnitudes.
    scale = reference.saliency_reduce(weights, grads, ["abs_product", "square"]).amax(0)
    tolerance = torch.tensor([TOLERANCE[w.dtype] for w in weights], dtype=torch.float64)
    assert ((got - expected).abs() <= tolerance * scale).all()


@settings(deadline=None)
@given(st.data())
def test_equals_reference(data):
    pairs = []
    for _ in range(data.draw(st.integers(1, 4), "layers")):
        shape, dtype = data.draw(shapes(max_dims=5)), data.draw(st.sampled_from(DTYPES))
        pairs.append([data.draw(tensors(shape, dtype)) for _ in range(2)])
    kinds = data.draw(st.lists(st.sampled_from(KINDS), max_size=4))
    weights, grads = zip(*pairs, strict=True)
    assert_close(weights, grads, kinds)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("weight_layout", "grad_layout"), list(itertools.product(layouts, repeat=2)))
def test_layouts(dtype, weight_layout, grad_layout):
    weight, grad = (torch.randn(24, 17, 5, 3).to(dtype) for _ in range(2))
    assert_close([layouts[weight_layout](weight)], [layouts[grad_layout](grad)])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("numel", [0, 1, 7, 511, 512, 513, 32767, 32768, 32769, 100_003])
def test_sizes_around_blocks_and_chunks(dtype, numel):
    assert_close([torch.randn(numel).to(dtype)], [torch.randn(numel).to(dtype)])


@pytest.mark.parametrize("dtype", DTYPES)
def test_thread_count_changes_no_bit(dtype):
    sizes = [3, 200_001, 0, 77, 65_536, 1_000_003]
    weights, grads = ([torch.randn(n).to(dtype) for n in sizes] for _ in range(2))
    same_on_any_thread_count(lambda: ops.saliency_reduce(weights, grads, KINDS))


def test_no_layers_and_no_kinds():
    assert ops.saliency_reduce([], [], KINDS).shape == (3, 0)
    assert ops.saliency_reduce([torch.ones(2)], [torch.ones(2)], []).shape == (0, 1)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_nan_and_inf_propagate(dtype, value):
    weight, grad = torch.ones(3000, dtype=dtype), torch.ones(3000, dtype=dtype)
    grad[1234] = value
    expected = reference.saliency_reduce([weight], [grad], KINDS)
    torch.testing.assert_close(ops.saliency_reduce([weight], [grad], KINDS), expected, equal_nan=True)


@pytest.mark.parametrize("exponent", [-130, -100, -64, 60, 100, 120])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_products_beyond_the_range_of_float32(dtype, exponent):
    weight, grad = ((torch.rand(1500) + 0.5).mul(2.0**exponent).to(dtype) for _ in range(2))
    expected = reference.saliency_reduce([weight], [grad], KINDS)
    torch.testing.assert_close(ops.saliency_reduce([weight], [grad], KINDS), expected, rtol=4e-6, atol=0)


@pytest.mark.parametrize("flush", [False, True])
def test_every_float16(flush):
    grad = torch.arange(-(2**15), 2**15).to(torch.int16).view(torch.float16)
    grad = grad[grad.isfinite()].reshape(-1, 1)
    expected = grad.double().flatten()
    weights, grads = list(torch.ones_like(grad)), list(grad)
    torch.set_flush_denormal(flush)
    try:
        got = ops.saliency_reduce(weights, grads, ["product"])[0]
    finally:
        torch.set_flush_denormal(False)
    assert torch.equal(got, expected)


def test_square_does_not_read_weights():
    weight = torch.full((40,), float("nan"))
    assert ops.saliency_reduce([weight], [torch.ones(40)], ["square"]).item() == 40


def test_requires_grad_leaves_no_graph():
    weight = torch.nn.Parameter(torch.ones(3))
    assert not ops.saliency_reduce([weight], [torch.ones(3)], KINDS).requires_grad


def test_without_a_kernel_the_reference_runs(monkeypatch):
    monkeypatch.setattr(ops._native, "has_kernel", lambda operator, device_type: False)
    monkeypatch.setattr(reference, "saliency_reduce", lambda *arguments: "reference")
    assert ops.saliency_reduce([torch.ones(3)], [torch.ones(3)], ["square"]) == "reference"


def test_meta_tensors_give_a_shape():
    layers = [torch.empty(2, 3, device="meta")] * 2
    assert ops.saliency_reduce(layers, layers, KINDS).shape == (3, 2)


@pytest.mark.parametrize(
    ("weights", "grads", "kinds", "message"),
    [
        ([torch.ones(2)], [torch.ones(2)] * 2, ["square"], r"grads: expected as many tensors as weights \(1\), got 2"),
        ([], [torch.ones(2)], ["square"], r"grads: expected as many tensors as weights \(0\), got 1"),
        (
            [torch.ones(2)] * 2,
            [torch.ones(2), torch.ones(3)],
            ["square"],
            r"grads\[1\]: expected shape \[2\], got \[3\]",
        ),
        ([torch.ones(2).int()], [torch.ones(2).int()], ["square"], r"weights\[0\]: expected dtype Double.*got Int"),
        ([torch.ones(2)], [torch.ones(2)], ["cube"], "kinds: expected abs_product, product or square, got cube"),
    ],
)
def test_errors_name_the_argument(weights, grads, kinds, message):
    with pytest.raises((RuntimeError, ValueError), match=message):
        ops.saliency_reduce(weights, grads, kinds)
