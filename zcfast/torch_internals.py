"""What this package takes of torch that torch does not document, in one place."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FunctionType
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch._C import _functorch
from torch.autograd import forward_ad
from torch.multiprocessing.reductions import StorageWeakRef
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

__all__ = [
    "ERROR_NODE",
    "OWN_OPERATORS",
    "RULES_BY_DISPATCH_ONLY",
    "AnyBatchNorm",
    "DispatchMode",
    "compiled_apart",
    "has_kernel",
    "is_view",
    "make_dual",
    "memory_of",
    "operator_name",
    "outside_modes",
    "outside_transforms",
    "plain_scripts",
    "quiet_exporter",
    "tree_map",
    "wrapper_of",
]
_T = TypeVar("_T", bound=Tensor)

AnyBatchNorm = _BatchNorm
"""The class that all batch normalisations derive from."""

RULES_BY_DISPATCH_ONLY: Any = torch._C._disabled_torch_function_impl
"""As a class's __torch_function__: functions run as on any tensor, and their operators reach __torch_dispatch__."""


outside_modes: Any = torch._C.DisableTorchFunction
"""A context in which functions run without the modes around it, and subclasses as plain tensors."""

ERROR_NODE: Any = torch._C._functions.Error  # type: ignore[attr-defined]
"""The class of a graph's nodes that raise: functions marked once_differentiable leave them behind their derivative."""


class DispatchMode(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """A TorchDispatchMode that does not import torch.compile, which takes seconds, to keep it from compiling a mode."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False


OWN_OPERATORS = frozenset({"aten", "prim", "prims", "profiler"})
"""The libraries of operators that are torch's, each of which does what its name says; the last one computes nothing."""


def wrapper_of(cls: type[_T], like: Tensor) -> _T:
    """A tensor of the class with the form of another one, float64, and no numbers."""
    return torch.Tensor._make_wrapper_subclass(
        cls, like.shape, strides=like.stride(), dtype=torch.float64, device=like.device
    )


def compiled_apart(function: Callable[[], Any]) -> Callable[[], Any]:
    """torch.compile of a function that calls one network of many, after its first call, which compiles it.

    What torch compiles it keeps by a function's code, eight forms of each, and runs any further one as it is, without a
    word. So the function gets code of its own; parts that torch compiles by themselves share theirs, without a limit.
    """
    from torch._dynamo import config  # seconds of a process

    plain: Any = function
    code = plain.__code__.replace(co_name=f"{plain.__code__.co_name}_apart")
    own = FunctionType(code, plain.__globals__, code.co_name, plain.__defaults__, plain.__closure__)
    compiled: Callable[[], Any] = torch.compile(own, dynamic=False)
    most = 2**30
    with config.patch(recompile_limit=most, accumulated_recompile_limit=most, fail_on_recompile_limit_hit=True):
        compiled()
    return compiled


def memory_of(x: Tensor) -> Any:
    """What stands for a tensor's memory without holding it, equal for all that share it, and may be ``expired()``."""
    return StorageWeakRef(x.untyped_storage())  # type: ignore[no-untyped-call]


@contextmanager
def quiet_exporter() -> Iterator[None]:
    """Without what torch's ONNX exporter logs of packages that are not installed, whatever stderr is by then."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def is_view(x: Tensor) -> bool:
    """Whether a tensor was made as a view of another one."""
    return x._is_view()


def outside_transforms(x: Tensor) -> Tensor:
    """The tensor that vmap, grad and the like show a part or a view of; the tensor itself where none is around it."""
    while _functorch.is_functorch_wrapped_tensor(x):
        x = _functorch.get_unwrapped(x)
    return x


def plain_scripts() -> Any:
    """A context in which torch.jit's functions call one operator after the other, and fuse none into code of theirs."""
    return torch.jit.optimized_execution(False)  # type: ignore[attr-defined]


def operator_name(func: Any) -> str | None:
    """The name of one of torch.ops with that of its library, such as "aten::relu"; None of any other function."""
    if isinstance(func, torch._ops.OpOverload):
        return str(func._schema.name)
    return str(func._qualified_op_name) if isinstance(func, torch._ops.OpOverloadPacket) else None


def has_kernel(operator: str, device_type: str) -> bool:
    """Whether torch has a kernel of an operator, such as "aten::relu", for a type of device."""
    key = torch._C._dispatch_key_for_device(device_type)
    return torch._C._dispatch_has_kernel_for_dispatch_key(operator, key)


def make_dual(primal: Tensor, tangent: Tensor) -> Tensor:
    """A tensor with a tangent, as forward_ad.make_dual makes it in the level around, without what that imports.

    It loads all decompositions of operators that have no forward derivative of their own, 800 modules and seconds of a
    process; an operator that needs one raises without them.
    """
    made: Tensor = torch._VF._make_dual(primal, tangent, level=forward_ad._current_level)
    return made
