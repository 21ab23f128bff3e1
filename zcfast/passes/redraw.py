"""Weights that proxies draw in place of a net's own, as their published codes do."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from zcfast.nets.counted import COUNTABLE
from zcfast.nets.initialisation import NORMS
from zcfast.passes.draws import Draws
from zcfast.passes.net import Net
from zcfast.passes.slots import Slot

Deviation = Callable[[torch.Size], float]
"""The standard deviation of a weight of a shape."""


def unit(shape: torch.Size) -> float:
    """1, whatever the shape."""
    return 1.0


def kaiming_fan_in(shape: torch.Size) -> float:
    """That which keeps the size of what flows forward through ReLUs."""
    return math.sqrt(2 / shape[1:].numel())


def kaiming_fan_out(shape: torch.Size) -> float:
    """That which keeps the size of what flows backward through ReLUs."""
    return math.sqrt(2 / (shape[0] * shape[2:].numel()))


@contextmanager
def redrawn(net: Net, draws: Draws, deviation: Deviation) -> Iterator[None]:
    """Inside, the weights of convolutions and linear layers are normal draws, norms are at their start, biases 0.

    All other parameters, such as embeddings, have their values. A tied weight is drawn once.

    Args:
        net: the net.
        draws: what draws; purpose "weights", under the name of the parameter.
        deviation: of the weights.
    """
    prefixes = {id(module): prefix for prefix, module in net.module.named_modules()}
    names: dict[int, str] = {}
    for slot in net.slots.all:
        names.setdefault(id(slot.parameter), f"{prefixes[id(slot.module)]}.{slot.name}".lstrip("."))

    def stand_in(slot: Slot) -> Tensor:
        value = slot.parameter.detach().clone()
        if isinstance(slot.module, NORMS) and slot.name in ("weight", "bias"):
            value.fill_(slot.name == "weight")
        elif isinstance(slot.module, COUNTABLE) and slot.name == "weight":
            value.copy_(draws.normal("weights", names[id(slot.parameter)], value.shape)).mul_(deviation(value.shape))
        elif isinstance(slot.module, COUNTABLE) and slot.name == "bias":
            value.zero_()
        return nn.Parameter(value)

    with net.redrawn(stand_in):
        yield
