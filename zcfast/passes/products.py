"""The multiply-adds of everything that a net runs, whoever calls it: layers, functions, attention, recurrences."""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from zcfast.nets.inputs import mapped
from zcfast.passes.base import Pass, Results
from zcfast.passes.batch import Batch, find_logits
from zcfast.passes.net import Net
from zcfast.torch_internals import TorchDispatchMode


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


class Products(Pass):
    """Multiply-adds of one forward pass of the minibatch, a sample.

    Gradients are enabled, since torch fuses whole layers and recurrences into one operation where they are not, and
    attention runs as the products that it is; nothing is kept for a backward pass, so that what is checkpointed counts
    once.
    """

    reads = "inputs"
    cost = 1.0

    def run(self, net: Net, batch: Batch, done: Results) -> float:
        """Count them."""
        inputs, _ = batch.tensors()
        net.begin_again()
        with torch.random.fork_rng(net.random_devices), ExitStack() as stack:
            stack.enter_context(sdpa_kernel(SDPBackend.MATH))
            stack.enter_context(torch.autograd.graph.saved_tensors_hooks(lambda saved: None, _kept_nothing))
            if any(isinstance(child, nn.RNNBase) for child in net.modules):
                stack.enter_context(torch.backends.mkldnn.flags(enabled=False))
                stack.enter_context(torch.backends.cudnn.flags(enabled=False))
            with _Counted() as counted:
                output = net.call(mapped(Tensor.clone, inputs))
        if batch.logits is not find_logits:
            batch.found_logits(output, batch.samples)
        total: float = counted.total
        return total / batch.samples


def _kept_nothing(_: Any) -> Tensor:
    raise RuntimeError("the net takes a derivative in its forward pass, for which nothing was kept")
