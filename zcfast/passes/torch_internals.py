"""What passes take of torch that torch does not document, in one place."""

from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.autograd import forward_ad

_T = TypeVar("_T", bound=Tensor)

RULES_BY_DISPATCH_ONLY: Any = torch._C._disabled_torch_function_impl
"""As a class's __torch_function__: functions run as on any tensor, and their operators reach __torch_dispatch__."""


outside_modes: Any = torch._C.DisableTorchFunction
"""A context in which functions run without the modes around it, and subclasses as plain tensors."""

ERROR_NODE: Any = torch._C._functions.Error  # type: ignore[attr-defined]
"""The class of a graph's nodes that raise: functions marked once_differentiable leave them behind their derivative."""


def wrapper_of(cls: type[_T], like: Tensor) -> _T:
    """A tensor of the class with the form of another one, float64, and no numbers."""
    return torch.Tensor._make_wrapper_subclass(
        cls, like.shape, strides=like.stride(), dtype=torch.float64, device=like.device
    )


def is_view(x: Tensor) -> bool:
    """Whether a tensor was made as a view of another one."""
    return x._is_view()


def make_dual(primal: Tensor, tangent: Tensor) -> Tensor:
    """A tensor with a tangent, as forward_ad.make_dual makes it in the level around, without what that imports.

    It loads all decompositions of operators that have no forward derivative of their own, 800 modules and seconds of a
    process; an operator that needs one raises without them.
    """
    made: Tensor = torch._VF._make_dual(primal, tangent, level=forward_ad._current_level)
    return made
