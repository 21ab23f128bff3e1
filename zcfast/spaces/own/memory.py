"""The most memory that the activations of a user's networks take at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from zcfast.errors import first_line
from zcfast.nets.inputs import Inputs, call_net, mapped, tensors_of, tensors_within
from zcfast.nets.products import unfused
from zcfast.nets.seeding import seeded
from zcfast.spaces.capabilities import ActivationMemory
from zcfast.spaces.own.sizes import Outlines
from zcfast.torch_internals import DispatchMode, memory_of


class BuiltMemory(ActivationMemory):
    """The memory of networks that a space builds: each runs once, with drawn weights and one sample of the example."""

    def __init__(self, space: Outlines) -> None:
        """Take the space."""
        self._space = space
        self._known: dict[str, int] = {}

    def activation_memory(self, cells: Any, **network: Any) -> Tensor:
        """See ``ActivationMemory``."""
        texts = self._space.format(cells)
        for text in texts:
            if text not in self._known:
                self._known[text] = self._measured(text)
        return torch.tensor([self._known[text] for text in texts], dtype=torch.int64)

    def _measured(self, text: str) -> int:
        try:
            with seeded(0):
                return peak(self._space.outline(text).eval(), self._space.example.inputs)
        except Exception as error:  # a foreign net: what it raises is the answer
            raise ValueError(f"{self._space.name}: no activation memory of {text}: {first_line(error)}") from error


def peak(module: nn.Module, inputs: Inputs) -> int:
    """The most bytes at once of the input and of all that a forward pass of its first sample allocates.

    Memory counts from the operation of torch that allocates it until Python holds none of its tensors: views and
    operations in place share it, and an operation has its inputs and its result at once. What a kernel allocates for
    itself does not count. No gradients are kept. Attention and recurrences run as the products that they are.

    Args:
        module: the network, in the mode in which it is to run.
        inputs: of which the first sample runs.
    """
    one = mapped(lambda x: x[:1].clone(), inputs)
    held = _Held(tensors_of(one))
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # without gradients torch fuses whole layers of attention
    try:
        with unfused(module.modules()), torch.no_grad(), held:
            call_net(module, one)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    return held.most


class _Held(DispatchMode):
    """Follows what operations allocate until nothing holds it.

    Attributes:
        most: bytes at once, so far.
    """

    def __init__(self, inputs: Iterable[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._alive: dict[Any, int] = {memory_of(each): each.untyped_storage().nbytes() for each in inputs}
        self.most: int = sum(self._alive.values())

    def __torch_dispatch__(
        self, func: Any, types: Iterable[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        self._alive = {ref: size for ref, size in self._alive.items() if not ref.expired()}
        # A result in the memory of parameters, or of what the network had before, is none of its own.
        taken = set(map(memory_of, tensors_within((*args, *(kwargs or {}).values())))) - self._alive.keys()
        for each in tensors_within((result,)):
            if (ref := memory_of(each)) not in taken:
                self._alive[ref] = each.untyped_storage().nbytes()
        self.most = max(self.most, sum(self._alive.values()))
        return result
