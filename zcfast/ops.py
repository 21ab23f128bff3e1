"""The compiled operators: a typed wrapper of each, and its fake kernel for tracing without data.

On a device without a compiled kernel a wrapper computes `zcfast.reference` there. None of them is differentiable.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar, cast

import torch
from torch import Tensor

from zcfast import _native, reference

__all__ = ["fisher_reduce", "jacobian_correlation", "saliency_reduce"]

Kernel = TypeVar("Kernel", bound=Callable[..., Tensor])


def _fake(operator: str) -> Callable[[Kernel], Kernel]:
    return cast(Callable[[Kernel], Kernel], torch.library.register_fake(f"zcfast::{operator}"))


def saliency_reduce(weights: Sequence[Tensor], grads: Sequence[Tensor], kinds: Sequence[str]) -> Tensor:
    """Sums of saliencies over each layer, several kinds in one pass over memory.

    Kinds: "abs_product" sum |w g|, "product" sum w g, "square" sum g^2. `weights` and `grads` hold one tensor a layer,
    equal in shape, dtype (float64, float32, bfloat16, float16) and device; weights are read only if a kind needs them,
    one of another dtype than its gradient (as that of parts summed in float32) is converted to it.

    Returns [len(kinds), len(weights)] float64: an empty layer sums to 0, NaN and inf propagate. The same bits for any
    number of threads. float64 sums of exact products, but up to 512 of bfloat16 or float16 are summed in float32 first.
    Raises RuntimeError or ValueError, naming the argument, for lists or tensors that do not match and unknown kinds.
    """
    weights, grads, kinds = list(weights), list(grads), list(kinds)
    if not weights or not grads or not _native.has_kernel("saliency_reduce", grads[0].device.type):
        return reference.saliency_reduce(weights, grads, kinds)
    with torch.no_grad():
        if len(weights) == len(grads):
            weights = [w if w.dtype == g.dtype else w.to(g.dtype) for w, g in zip(weights, grads, strict=True)]
        result: Tensor = torch.ops.zcfast.saliency_reduce(weights, grads, kinds)
    return result


@_fake("saliency_reduce")
def _saliency_reduce_fake(weights: Sequence[Tensor], grads: Sequence[Tensor], kinds: Sequence[str]) -> Tensor:
    return grads[0].new_empty((len(kinds), len(weights)), dtype=torch.float64)


def fisher_reduce(activation: Tensor, gradient: Tensor, channel_dim: int, elementwise: bool = False) -> Tensor:
    """Fisher saliency of each channel of a layer's output: 1/2 mean_n (sum_positions a g)^2.

    `activation` [N, ...] and `gradient`, equal in shape, dtype and device, have images first and channels at
    `channel_dim` (1 for convolutions, -1 for features last); the other dimensions are positions. With `elementwise` the
    square is taken before the sum: 1/2 mean_n sum_positions (a g)^2.

    Returns [C] float64: no positions give 0, no images NaN (the mean of nothing), NaN and inf propagate. The same bits
    for any number of threads. Raises RuntimeError or ValueError, naming the argument.
    """
    if not _native.has_kernel("fisher_reduce", activation.device.type):
        return reference.fisher_reduce(activation, gradient, channel_dim, elementwise)
    with torch.no_grad():
        result: Tensor = torch.ops.zcfast.fisher_reduce(activation, gradient, channel_dim, elementwise)
    return result


@_fake("fisher_reduce")
def _fisher_reduce_fake(activation: Tensor, gradient: Tensor, channel_dim: int, elementwise: bool = False) -> Tensor:
    return activation.new_empty((activation.shape[channel_dim],), dtype=torch.float64)


def jacobian_correlation(jacobian: Tensor, k: float = 1e-5) -> Tensor:
    """jacob_cov of a Jacobian [N, D]: - sum_i [log(v_i + k) + 1 / (v_i + k)], v the eigenvalues of its correlations.

    The N x N correlation matrix is that of the rows, as `numpy.corrcoef`. By a Cholesky factor, without eigenvalues, in
    float64 whatever the dtype; beyond the input the memory is one N x N and one N x 256 float64 matrix (N x D on CUDA).

    Returns a float64 scalar: 0 for N = 0; NaN where a row is constant or has a NaN or inf, and where D < 2. The same
    bits for any number of threads. `k` is finite and at least 0.
    Raises RuntimeError or ValueError, naming the argument.
    """
    if not _native.has_kernel("jacobian_correlation", jacobian.device.type):
        return reference.jacobian_correlation(jacobian, k)
    with torch.no_grad():
        result: Tensor = torch.ops.zcfast.jacobian_correlation(jacobian, k)
    return result


@_fake("jacobian_correlation")
def _jacobian_correlation_fake(jacobian: Tensor, k: float = 1e-5) -> Tensor:
    return jacobian.new_empty((), dtype=torch.float64)
