"""In which block of a net each activation runs."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import nn

from zcfast.nets.counted import COUNTABLE
from zcfast.nets.inputs import first_two
from zcfast.passes.base import Pass, Results
from zcfast.passes.batch import Batch
from zcfast.passes.blocks import outermost
from zcfast.passes.net import Net
from zcfast.passes.rectifiers import POOLS, SeeRectifiers
from zcfast.passes.unseen import Watching

Kind = Literal["begin", "end", "activation", "pool"]


@dataclass(frozen=True)
class _Event:
    kind: Kind
    module: nn.Module | None = None


class ActivationBlocks(Pass):
    """Of each call of an activation, in order, the number of its block, from 0.

    A block is the outermost module with parts, a pool, or a row of layers up to an activation in no such module. Lists
    of modules, modules that are not called themselves and one that holds all activations are opened.
    """

    reads = "inputs"
    cost = 1.0

    def run(self, net: Net, batch: Batch, done: Results) -> list[int]:
        """Run two samples forward."""
        events: list[_Event] = []
        inputs = first_two(batch.tensors()[0])
        note = partial(_note, events)
        before = [(module, partial(note, "begin")) for module in net.modules]
        after = [(module, partial(note, "end")) for module in net.modules]
        see = SeeRectifiers(lambda call: note("activation"))
        with torch.no_grad():
            net.forward(inputs, after, before, modes=[_SeePools(lambda: note("pool")), see])
        return _numbered(net.module, events)


def _note(events: list[_Event], kind: Kind, module: nn.Module | None = None, *_: Any) -> None:
    events.append(_Event(kind, module))


class _SeePools(Watching):
    matters = ("pool",)

    def __init__(self, see: Callable[[], None]) -> None:
        super().__init__()
        self._see = see

    def __torch_function__(self, func: Any, types: Iterable[type], args: Any = (), kwargs: Any = None) -> Any:
        if func in POOLS:
            self._see()
        return func(*args, **(kwargs or {}))


def _numbered(net: nn.Module, events: Sequence[_Event]) -> list[int]:
    called, opened = {id(each.module) for each in events}, {id(net)}
    while True:
        level = {id(module) for module in outermost(net, called, opened)}
        numbers, holders = _walk(events, level)
        if len(holders) != 1 or None in holders:
            return numbers
        opened |= holders  # type: ignore[arg-type]  # None is not among them


def _walk(events: Sequence[_Event], level: set[int]) -> tuple[list[int], set[int | None]]:
    """The number of each activation, and the modules with parts that hold them; None for those in no such module."""
    numbers: list[int] = []
    holders: set[int | None] = set()
    block, inside = 0, None
    row = False  # an activation has ended a row of layers, which a next block begins behind
    for event in events:
        module = event.module
        whole = inside is not None and bool(inside._modules)
        if event.kind == "begin" and module is not None and inside is None and id(module) in level:
            block += row and (bool(module._modules) or isinstance(module, COUNTABLE))
            row &= not (module._modules or isinstance(module, COUNTABLE))
            inside = module
        elif event.kind == "end" and module is not None and module is inside:
            block += whole
            inside = None
        elif event.kind == "pool" and not whole:
            block, row = block + row + 1, False
        elif event.kind == "activation":
            numbers.append(block)
            holders.add(id(inside) if whole else None)
            row |= not whole
    return numbers, holders
