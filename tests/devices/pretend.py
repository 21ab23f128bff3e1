"""A device "pretend", computed by the CPU, for the code that chooses devices: PyTorch runs it nowhere without a GPU.

Tensors on it refuse to meet tensors on the CPU, as CUDA's do, and take the operators of this package that have a CUDA
kernel. Importing this module registers the device for the whole process, so its tests run in one of their own.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

from zcfast import _native
from zcfast.scoring import architectures

NAME = "pretend"
SOURCES = Path(__file__).parents[2] / "csrc" / "cuda"
KERNELS = {name for path in SOURCES.glob("*.cpp") for name in re.findall(r'm\.impl\("(\w+)"', path.read_text())}
MOVES = ("aten::_to_copy", "aten::copy_", "aten::fill_")  # the last takes its one number from anywhere
INDEXING = {f"aten::{name}" for name in ("index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index")}

_setup_privateuseone_for_python_backend(NAME)
_library = torch.library.Library("aten", "IMPL")
used: set[str] = set()  # operators of this package that have run on the device


class PretendTensor(Tensor):
    """A tensor on the device; `held` has its numbers on the CPU."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> "PretendTensor":
        made = Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=f"{NAME}:0",
        )
        made.held = held
        return made

    def tolist(self) -> Any:
        return self.held.tolist()

    def __repr__(self, **_: Any) -> str:
        return f"PretendTensor({self.held})"

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        _check(func._schema.name, args, tensors)
        options = dict(kwargs or {})
        leaves = options.get("device") is not None and torch.device(options["device"]).type == "cpu"
        if options.get("device") is not None:
            options["device"] = torch.device("cpu")
        result = func(*tree_map(_held, args), **tree_map(_held, options))
        if leaves:
            return result
        ours = {id(each.held): each for each in tensors if isinstance(each, cls)}
        if any(each.shape != each.held.shape for each in ours.values()):
            raise NotImplementedError(f"{func}: no tensor on {NAME} can change its shape")
        # What was written in place is the tensor that it was.
        return tree_map(lambda each: _wrapped(each, ours), result)


def stand_in() -> None:
    """Take CUDA's place in this process: the device has the kernels and networks can be asked to run on it."""
    elsewhere = _native.has_kernel
    _native.has_kernel = lambda operator, device_type: (
        operator in KERNELS if device_type == NAME else elsewhere(operator, device_type)
    )
    architectures.find_device = torch.device
    # `module.double()` makes new parameters: the data of one here cannot become those of another type.
    torch.__future__.set_overwrite_module_params_on_conversion(True)


def _held(value: Any) -> Any:
    return value.held if isinstance(value, PretendTensor) else value


def _wrapped(value: Any, ours: dict[int, PretendTensor]) -> Any:
    if not isinstance(value, Tensor):
        return value
    return ours[id(value)] if id(value) in ours else PretendTensor(value)


def _check(operator: str, args: tuple[Any, ...], tensors: Sequence[Tensor]) -> None:
    """Refuse what CUDA refuses."""
    package, _, name = operator.partition("::")
    if package == "zcfast":
        used.add(name)
        if name not in KERNELS:
            raise RuntimeError(f"{operator}: no CUDA kernel")
    elif operator in MOVES:
        return
    elif operator in INDEXING:  # the indices may lie on the CPU
        tensors = [leaf for leaf in tree_leaves((args[0], args[2:])) if isinstance(leaf, Tensor)]
    others = [tensor for tensor in tensors if not isinstance(tensor, PretendTensor)]
    if any(tensor.dim() or package == "zcfast" for tensor in others):
        raise RuntimeError(f"{operator}: expected all tensors on one device")


def _empty(size: Any, *, dtype: Any = None, memory_format: Any = None, **_: Any) -> Tensor:
    return PretendTensor(torch.empty(size, dtype=dtype, memory_format=memory_format or torch.contiguous_format))


def _empty_strided(size: Any, stride: Any, *, dtype: Any = None, **_: Any) -> Tensor:
    return PretendTensor(torch.empty_strided(size, stride, dtype=dtype))


def _zeros(size: Any, *, dtype: Any = None, **_: Any) -> Tensor:
    return PretendTensor(torch.zeros(size, dtype=dtype))


def _factory(overload: Any) -> Any:
    """What PyTorch makes by resizing an empty tensor."""
    return lambda *args, device=None, pin_memory=None, **options: PretendTensor(overload(*args, **options))


def _copy_from(source: Tensor, target: Tensor, non_blocking: bool = False) -> Tensor:
    _held(target).copy_(_held(source))
    return target


arange, eye = torch.ops.aten.arange, torch.ops.aten.eye
for overload in (arange.default, arange.start, arange.start_step, eye.default, eye.m):
    _library.impl(overload, _factory(overload), "PrivateUse1")
_library.impl("_copy_from", _copy_from, "PrivateUse1")
_library.impl("_efficientzerotensor", _zeros, "PrivateUse1")
_library.impl("empty.memory_format", _empty, "PrivateUse1")
_library.impl("empty_strided", _empty_strided, "PrivateUse1")
