"""Functions whose backward pass torch cannot differentiate, with one that it can."""

from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from torch.overrides import TorchFunctionMode

_PLACE_OF_SPARSE = {F.embedding: 6, F.embedding_bag: 7}  # among the arguments


class TwiceDifferentiable(TorchFunctionMode):
    """Runs F.hardsigmoid, as MobileNetV3 has it, by a function with a second derivative, and embeddings without the
    sparse gradients that have none.
    """

    def __torch_function__(self, func: Any, types: Iterable[type], args: Any = (), kwargs: Any = None) -> Any:
        """Divert these functions, pass everything else on."""
        kwargs = kwargs or {}
        if func is F.hardsigmoid:
            return _hardsigmoid(*args, **kwargs)
        place = _PLACE_OF_SPARSE.get(func)
        if place is not None and len(args) > place:
            args = (*args[:place], False, *args[place + 1 :])
        elif place is not None:
            kwargs = {**kwargs, "sparse": False}
        return func(*args, **kwargs)


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
