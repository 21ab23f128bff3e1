"""The multiply-adds of everything that a net runs, whoever calls it: layers, functions, attention, recurrences."""

import math
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode

from zcfast.tracing.batch import Batch
from zcfast.tracing.generators import random_devices
from zcfast.tracing.isolation import isolated
from zcfast.tracing.parameters import Slots


class _Counted(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the multiply-adds of the products and convolutions that run, as torch's FlopCounterMode does.

    That one is not used itself: it puts hooks on all modules of the process.

    Attributes:
        total: so far.
    """

    def __init__(self) -> None:
        """Begin with none."""
        from torch.utils.flop_counter import flop_registry  # takes a while to import

        super().__init__()  # type: ignore[no-untyped-call]
        self.total = 0.0
        self._operations: dict[Any, Callable[..., Any]] = flop_registry

    def __torch_dispatch__(
        self, func: Any, types: Iterable[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run an operation and count it."""
        result = func(*args, **(kwargs or {}))
        packet = func.overloadpacket
        if packet in _VECTORS:
            self.total += _VECTORS[packet](*args)
        elif packet in self._operations:  # it counts an addition and a multiplication as two
            self.total += self._operations[packet](*args, **(kwargs or {}), out_val=result) / 2
        return result


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


def run_products(module: nn.Module, batch: Batch, *, train: bool) -> float:
    """Count the multiply-adds of one forward pass of the minibatch, a sample.

    Gradients are enabled, since torch fuses whole layers and recurrences into one operation where they are not, and
    attention runs as the products that it is; nothing is kept for a backward pass, so that what is checkpointed counts
    once.
    """
    with ExitStack() as stack:
        net = stack.enter_context(isolated(module, train=train))
        Slots(net.modules, []).install(lambda slot, _: nn.Parameter(slot.parameter.detach().clone()))
        stack.enter_context(torch.random.fork_rng(random_devices(module)))
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        stack.enter_context(torch.autograd.graph.saved_tensors_hooks(lambda saved: None, _kept_nothing))
        if any(isinstance(child, nn.RNNBase) for child in net.modules):
            stack.enter_context(torch.backends.mkldnn.flags(enabled=False))
            stack.enter_context(torch.backends.cudnn.flags(enabled=False))
        inputs, _ = batch.tensors()
        with _Counted() as counted:
            net.module(inputs.clone())
    return counted.total / len(inputs) if len(inputs) else math.nan


def _kept_nothing(_: Any) -> Tensor:
    raise RuntimeError("the net takes a derivative in its forward pass, for which nothing was kept")
