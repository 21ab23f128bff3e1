"""What each reduction means, in plain PyTorch with float64 sums: the oracle of the compiled operators."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

_SALIENCIES: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "abs_product": lambda weight, grad: (weight * grad).abs(),
    "product": lambda weight, grad: weight * grad,
}
KINDS = (*_SALIENCIES, "square")


def saliency_reduce(weights: Sequence[Tensor], grads: Sequence[Tensor], kinds: Sequence[str]) -> Tensor:
    """Sum one or more saliencies over each tensor of a list.

    Args:
        weights: L tensors; may be empty where every kind is "square".
        grads: L tensors, each of the shape of its weight.
        kinds: any of "abs_product" (|w g|), "product" (w g) and "square" (g^2).

    Returns:
        [len(kinds), L] float64 sums, on the device of the gradients.

    Raises:
        ValueError: an unknown kind, lists of different lengths, or a gradient of another shape than its weight.
    """
    for kind in kinds:
        if kind not in KINDS:
            raise ValueError(f"kinds: expected any of {KINDS}, got {kind!r}")
    device = grads[0].device if grads else None
    result = torch.zeros(len(kinds), len(grads), dtype=torch.float64, device=device)
    needs_weights = any(kind in _SALIENCIES for kind in kinds)
    if needs_weights:
        _check_pairs(weights, grads)
    for layer, grad in enumerate(grads):
        gradient = grad.double()
        weight = weights[layer].double() if needs_weights else gradient
        for row, kind in enumerate(kinds):
            term = _SALIENCIES[kind](weight, gradient) if kind in _SALIENCIES else gradient.square()
            result[row, layer] = term.sum()
    return result


def _check_pairs(weights: Sequence[Tensor], grads: Sequence[Tensor]) -> None:
    if len(weights) != len(grads):
        raise ValueError(f"grads: expected one a weight ({len(weights)}), got {len(grads)}")
    for layer, (weight, grad) in enumerate(zip(weights, grads, strict=True)):
        if weight.shape != grad.shape:
            raise ValueError(f"grads[{layer}]: expected shape {tuple(weight.shape)}, got {tuple(grad.shape)}")


def fisher_reduce(activation: Tensor, gradient: Tensor, channel_dim: int, elementwise: bool = False) -> Tensor:
    """Fisher saliency of each channel of one activation: half the mean over samples of (sum over space of a g)^2.

    Args:
        activation: [N, ...] output of a layer, samples first.
        gradient: derivative of the loss by the activation, of the same shape.
        channel_dim: dimension of the channels; all others but the first are space.
        elementwise: square before the sum over space instead of after it.

    Returns:
        [C] float64.

    Raises:
        ValueError: shapes differ, or channel_dim is the sample dimension or out of range.

    Source: Theis et al. 2018 (Faster gaze prediction), as used by Turner et al. 2020 (BlockSwap).
    """
    if activation.shape != gradient.shape:
        raise ValueError(f"gradient: expected shape {tuple(activation.shape)}, got {tuple(gradient.shape)}")
    if not 0 < channel_dim < activation.dim():
        raise ValueError(f"channel_dim: expected 1 to {activation.dim() - 1}, got {channel_dim}")
    product = activation.double() * gradient.double()
    product = product.movedim(channel_dim, 1).flatten(2) if product.dim() > 2 else product.unsqueeze(2)
    squares = product.square().sum(2) if elementwise else product.sum(2).square()
    return squares.mean(0) / 2


def jacobian_correlation(jacobian: Tensor, k: float = 1e-5) -> Tensor:
    """Score how differently a net reacts to each sample: -sum_i [log(v_i + k) + 1/(v_i + k)].

    v are the eigenvalues of the correlation matrix C of the rows. With C + kI = L L^T the sum of logarithms is
    2 sum log L_ii and the sum of inverses ||L^-1||_F^2, so no eigenvalue is computed.

    Args:
        jacobian: [N, D], a row for each sample.
        k: what is added to the eigenvalues.

    Returns:
        Scalar float64; NaN where a row is constant, as its correlation with others is undefined.

    Raises:
        ValueError: jacobian is not two-dimensional.

    Source: Mellor et al. 2020 (Neural architecture search without training, version 1).
    """
    if jacobian.dim() != 2:
        raise ValueError(f"jacobian: expected two dimensions [N, D], got shape {tuple(jacobian.shape)}")
    rows = jacobian.double()
    rows = rows - rows.mean(1, keepdim=True)
    rows = rows / rows.norm(dim=1, keepdim=True)
    identity = torch.eye(len(rows), dtype=rows.dtype, device=rows.device)
    lower, info = torch.linalg.cholesky_ex(rows @ rows.T + k * identity)
    inverse = torch.linalg.solve_triangular(lower, identity, upper=False)
    value = -(2 * lower.diagonal().log().sum() + inverse.square().sum())
    return torch.where(info == 0, value, torch.nan)
