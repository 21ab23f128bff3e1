"""Where the maps of a net's blocks come out, for proxies that compare one block with the next."""

from collections.abc import Iterator
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from zcfast.nets.counted import COUNTABLE
from zcfast.nets.initialisation import NORMS
from zcfast.nets.inputs import Inputs
from zcfast.passes.failures import ProxyError
from zcfast.passes.net import Net

Call: TypeAlias = tuple[nn.Module, int]
"""A module, and which of its calls, from 0."""

_LISTS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
_ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish)


def blocks(net: Net, inputs: Inputs) -> list[Call]:
    """The calls that put out the maps [N, C, H, W] of the stem and of each block, in order.

    A block is a module with parts that puts out maps, the outermost one; lists of modules, modules that are not called
    themselves and one that holds all blocks are opened. Of layers between blocks, one begins at each convolution, and
    ends at the last norm or activation behind it: so does the stem. Pools belong to the next block.

    Args:
        net: the net.
        inputs: two samples or more, for a forward pass.

    Raises:
        ProxyError: there are fewer than two blocks.
    """
    calls = _maps(net, inputs)
    called, opened = {id(module) for module, _, _ in calls}, {id(net.module)}
    while True:
        level = {id(module) for module in outermost(net.module, called, opened)}
        found = list(_ends([call for call in calls if id(call[0]) in level]))
        if len(found) == 1 and found[0][0]._modules:
            opened.add(id(found[0][0]))
        elif len(found) < 2:
            raise ProxyError("undefined", "the net has fewer than two blocks that put out maps [N, C, H, W]")
        else:
            return found


def _maps(net: Net, inputs: Inputs) -> list[tuple[nn.Module, int, bool]]:
    """All calls in the order in which they end, and whether each puts out maps."""
    calls: list[tuple[nn.Module, int, bool]] = []
    counts: dict[int, int] = {}

    def see(module: nn.Module, args: Any, output: Any) -> None:
        number = counts[id(module)] = counts.get(id(module), -1) + 1
        calls.append((module, number, isinstance(output, Tensor) and output.dim() == 4))

    with torch.no_grad():
        net.forward(inputs, [(module, see) for module in net.modules])
    return calls


def outermost(module: nn.Module, called: set[int], opened: set[int]) -> Iterator[nn.Module]:
    """The outermost modules that are not opened, nor lists, and are called."""
    for child in module._modules.values():
        if child is None:
            continue
        if type(child) in _LISTS or id(child) not in called or id(child) in opened:
            yield from outermost(child, called, opened)
        else:
            yield child


def _ends(calls: list[tuple[nn.Module, int, bool]]) -> Iterator[Call]:
    """The last call of each block."""
    row: Call | None = None  # of layers, from a convolution on
    for module, number, gives_maps in calls:
        layer = isinstance(module, COUNTABLE)
        ends = bool(module._modules) or layer or not gives_maps
        if ends and row is not None:
            yield row
            row = None
        if gives_maps and module._modules:
            yield module, number
        elif gives_maps and (layer or (row is not None and isinstance(module, (*NORMS, *_ACTIVATIONS)))):
            row = module, number
    if row is not None:
        yield row
