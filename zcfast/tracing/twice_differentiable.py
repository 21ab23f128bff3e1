"""Functions whose backward pass torch cannot differentiate, with one that it can."""

from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from torch.overrides import TorchFunctionMode


class TwiceDifferentiable(TorchFunctionMode):
    """Runs F.hardsigmoid, as MobileNetV3 has it, by a function with a second derivative."""

    def __torch_function__(self, func: Any, types: Iterable[type], args: Any = (), kwargs: Any = None) -> Any:
        """Divert hardsigmoid, pass everything else on."""
        return (_hardsigmoid if func is F.hardsigmoid else func)(*args, **(kwargs or {}))


class _Hardsigmoid(torch.autograd.Function):
    """Keeps for its backward pass what torch's own keeps: checkpointing may put that in its place."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return F.hardsigmoid(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (x,) = ctx.saved_tensors
        return gradients[0] * ((x > -3) & (x < 3)) / 6


def _hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    result: Tensor = _Hardsigmoid.apply(input.clone() if inplace else input)  # type: ignore[no-untyped-call]
    return input.copy_(result) if inplace else result
