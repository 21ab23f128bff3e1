"""Sums whose last bit depends on the numbers alone: not on their order, their company, the threads or the device.

Floating-point sums depend on their order, which libraries choose by sizes and threads, and training makes the smallest
difference grow until other architectures are chosen. So terms are first rounded to integers times a power of two, small
enough that float64 adds them without rounding, in any order. Functions of single numbers are made of operations that
IEEE 754 rounds correctly, one at a time.
Source: Demmel and Nguyen, "Fast Reproducible Floating-Point Summation", ARITH 2013 (pre-rounding).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

BITS = 20  # of a rounded number: 2^13 products of two of them add up exactly
_SQUARINGS = 10


def rounded(matrices: Tensor) -> Tensor:
    """Matrices float64 [B, M, N], each in multiples of 2^-20 of the power of two above its largest magnitude."""
    largest = torch.maximum(matrices.amax((1, 2), keepdim=True), -matrices.amin((1, 2), keepdim=True))
    power = torch.where(largest == 0, 1.0, largest / torch.frexp(largest).mantissa)
    # float64 keeps 52 bits below its first, so a sum with this number has none below the last one wanted.
    shift = power * 1.5 * 2 ** (52 - BITS)
    return matrices.add(shift).sub_(shift)


def product(left: Tensor, right: Tensor) -> Tensor:
    """Products [B, M, N] of rounded matrices [B, M, K] and [B, K, N], float64, with gradients.

    Nothing is rounded on the way as long as K, and for gradients M and N, are at most 8,192.
    """
    result: Tensor = _Product.apply(left, right)  # type: ignore[no-untyped-call]
    return result


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, left: Tensor, right: Tensor) -> Tensor:
        left, right = rounded(left), rounded(right)
        ctx.save_for_backward(left, right)
        return torch.bmm(left, right)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        left, right = ctx.saved_tensors
        gradient = rounded(gradient)
        return (
            torch.bmm(gradient, right.mT) if ctx.needs_input_grad[0] else None,
            torch.bmm(left.mT, gradient) if ctx.needs_input_grad[1] else None,
        )


def sigmoid(x: Tensor) -> Tensor:
    """1 / (1 + exp(-x)) with an error below 1e-6, float64."""
    small = x.abs().clamp(max=40) / 2**_SQUARINGS
    power = 1 / (((small / 4 + 1) * (small / 3) + 1) * (small * small / 2) + small + 1)  # exp(-small), by Taylor
    for _ in range(_SQUARINGS):
        power = power * power
    share = power / (1 + power)
    return torch.where(x < 0, share, 1 - share)
