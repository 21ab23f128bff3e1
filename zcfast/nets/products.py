"""The multiply-adds of the matrix products and convolutions that run, whoever calls them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from zcfast.torch_internals import OWN_OPERATORS, DispatchMode, operator_name

PRODUCT = "matrix product"  # the kind of all that is no convolution


class UncountedError(Exception):
    """An operator of another library ran, and nobody has said how many multiply-adds it takes."""


def convolution_kind(weight: Sequence[int], stride: Any, groups: int, transposed: bool = False) -> str:
    """What a convolution does, in words: "conv 3x3", "conv 5x5 stride 2 depthwise".

    Args:
        weight: the shape of its weight.
        stride: a number, or one of each dimension.
        groups: how many there are.
        transposed: whether it is a transposed one.
    """
    strides = dict.fromkeys(stride if isinstance(stride, (tuple, list)) else (stride,))
    strided = "" if set(strides) == {1} else f" stride {'x'.join(map(str, strides))}"
    depthwise = groups > 1 and weight[1] == 1 and not transposed
    grouped = "" if groups == 1 else " depthwise" if depthwise else " grouped"
    return f"conv {'x'.join(map(str, weight[2:]))}{strided}{grouped}{' transposed' if transposed else ''}"


class Counted(DispatchMode):
    """Counts the multiply-adds of the products and convolutions that run, as torch's FlopCounterMode does.

    That one is not used itself: it puts hooks on all modules of the process.

    Attributes:
        kinds: calls and multiply-adds so far, by kind.
        unknown: the name of an operator that ran whose work is not known, if any did.
    """

    def __init__(self) -> None:
        """Begin with none."""
        from torch.utils.flop_counter import flop_registry  # takes a while to import

        super().__init__()  # type: ignore[no-untyped-call]
        self.kinds: dict[str, tuple[int, float]] = {}
        self.unknown: str | None = None
        self._operations: dict[Any, Callable[..., Any]] = flop_registry

    @property
    def total(self) -> float:
        """Multiply-adds of all kinds."""
        return sum((work for _, work in self.kinds.values()), 0.0)

    def __torch_dispatch__(
        self, func: Any, types: Iterable[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run an operation and count it."""
        result = func(*args, **(kwargs or {}))
        packet = func.overloadpacket
        if packet in _VECTORS:
            self._note(PRODUCT, _VECTORS[packet](*args))
        elif packet in self._operations:  # it counts an addition and a multiplication as two
            work = self._operations[packet](*args, **(kwargs or {}), out_val=result) / 2
            kind = PRODUCT
            if packet is torch.ops.aten.convolution:
                kind = convolution_kind(args[1].shape, args[3], args[8], args[6])
            self._note(kind, work)
        elif not _is_torchs(name := operator_name(func) or str(func)):
            self.unknown = name
        return result

    def _note(self, kind: str, work: float) -> None:
        calls, before = self.kinds.get(kind, (0, 0.0))
        self.kinds[kind] = calls + 1, before + work


@contextmanager
def counting(modules: Iterable[nn.Module]) -> Iterator[Counted]:
    """Inside, what runs is counted, as ``unfused`` runs it.

    Raises:
        UncountedError: on leaving it, where an operator has run that torch's flop_registry does not know, and that may
            have done such work: that of any other library.
    """
    with unfused(modules), Counted() as counted:
        yield counted
    if counted.unknown is not None:
        hint = "give them by torch.utils.flop_counter.register_flop_formula"
        raise UncountedError(f"the multiply-adds of {counted.unknown} are not known ({hint})")


def _is_torchs(name: str) -> bool:
    """Whether an operator is torch's own, or one of torchvision's that multiplies no matrices."""
    library, _, operator = name.partition("::")
    return library in OWN_OPERATORS or (library == "torchvision" and "conv" not in operator)


@contextmanager
def unfused(modules: Iterable[nn.Module]) -> Iterator[None]:
    """Inside, attention runs as the products that it is, recurrences too.

    Gradients are enabled, since torch fuses whole layers into one operation where they are not. Nothing is kept for a
    backward pass, so that what is checkpointed counts once.

    Args:
        modules: those of the network that runs.
    """
    with ExitStack() as stack:
        stack.enter_context(torch.enable_grad())
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        stack.enter_context(torch.autograd.graph.saved_tensors_hooks(lambda saved: None, _kept_nothing))
        if any(isinstance(child, nn.RNNBase) for child in modules):
            stack.enter_context(torch.backends.mkldnn.flags(enabled=False))
            stack.enter_context(torch.backends.cudnn.flags(enabled=False))
        yield


def _size(x: Tensor, *_: Any) -> int:
    return x.numel()


# Products that the registry lacks.
_VECTORS: dict[Any, Callable[..., int]] = {
    torch.ops.aten.mv: _size,
    torch.ops.aten.addmv: lambda _, matrix, *rest: matrix.numel(),
    torch.ops.aten.dot: _size,
    torch.ops.aten.vdot: _size,
    torch.ops.aten.addbmm: lambda _, left, right, *rest: left.numel() * right.shape[2],
}


def _kept_nothing(_: Any) -> Tensor:
    raise RuntimeError("the net takes a derivative in its forward pass, for which nothing was kept")
