"""The meaning of each reduction in plain PyTorch, float64: the oracle of the tests, and what runs without a kernel."""

from collections.abc import Sequence

import torch
from torch import Tensor

SALIENCY_KINDS = ("abs_product", "product", "square")


def saliency_reduce(weights: Sequence[Tensor], grads: Sequence[Tensor], kinds: Sequence[str]) -> Tensor:
    """See `zcfast.ops.saliency_reduce`."""
    if len(weights) != len(grads):
        raise ValueError(f"grads: expected as many tensors as weights ({len(weights)}), got {len(grads)}")
    rows = [_saliency_sum(w.double(), g.double(), kind) for kind in kinds for w, g in zip(weights, grads, strict=True)]
    device = grads[0].device if grads else None
    flat = torch.stack(rows) if rows else torch.empty(0, dtype=torch.float64, device=device)
    return flat.reshape(len(kinds), len(weights))


def _saliency_sum(weight: Tensor, grad: Tensor, kind: str) -> Tensor:
    if weight.shape != grad.shape:
        raise ValueError(f"grads: expected shape {list(weight.shape)}, got {list(grad.shape)}")
    if kind == "abs_product":
        return (weight * grad).abs().sum()
    if kind == "product":
        return (weight * grad).sum()
    if kind == "square":
        return grad.square().sum()
    raise ValueError(f"kinds: expected {', '.join(SALIENCY_KINDS)}, got {kind}")


def fisher_reduce(activation: Tensor, gradient: Tensor, channel_dim: int, elementwise: bool = False) -> Tensor:
    """See `zcfast.ops.fisher_reduce`."""
    if activation.shape != gradient.shape:
        raise ValueError(f"gradient: expected shape {list(activation.shape)}, got {list(gradient.shape)}")
    channel = channel_dim + activation.dim() if channel_dim < 0 else channel_dim
    if not 1 <= channel < activation.dim():
        raise ValueError(f"channel_dim: expected a dimension after the first, got {channel_dim}")
    product = activation.double() * gradient.double()
    product = product.movedim(channel, 1).unsqueeze(-1).flatten(2)
    per_image = product.square().sum(2) if elementwise else product.sum(2).square()
    return 0.5 * per_image.mean(0)


def jacobian_correlation(jacobian: Tensor, k: float = 1e-5) -> Tensor:
    """See `zcfast.ops.jacobian_correlation`."""
    if jacobian.dim() != 2:
        raise ValueError(f"jacobian: expected shape [*, *], got {list(jacobian.shape)}")
    rows = jacobian.double()
    shifted = rows - rows[:, :1]  # a constant row becomes exact zeros, which its rounded mean would not give
    centred = shifted - shifted.mean(1, keepdim=True)
    products = centred @ centred.T
    inverse_norm = products.diagonal().rsqrt()
    correlation = products * inverse_norm * inverse_norm[:, None]
    eigenvalues = torch.linalg.eigvalsh(correlation.nan_to_num())
    value = -((eigenvalues + k).log() + 1 / (eigenvalues + k)).sum()
    return torch.where(correlation.isfinite().all(), value, torch.nan)
