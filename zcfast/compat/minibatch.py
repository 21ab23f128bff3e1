"""Minibatches out of data loaders, as the field's codes take them."""

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from zcfast.errors import integer

DataloadInfo = tuple[str, int, int]
"""("random", batches, classes) or ("grasp", samples a class, classes)."""


def minibatch(loader: Iterable[Any], info: DataloadInfo, device: torch.device | str) -> tuple[Tensor, Tensor]:
    """Inputs and targets on a device: the first batches side by side, or the first samples of each class in turn.

    Args:
        loader: of batches (inputs, targets).
        info: see `DataloadInfo`.
        device: where to put them.

    Raises:
        ValueError: the loader ends before, or `info` is none of these.
    """
    if not (isinstance(info, (tuple, list)) and len(info) == 3 and info[0] in ("random", "grasp")):
        raise ValueError(f"dataload_info: expected ('random' or 'grasp', a number, classes), got {info!r}")
    kind, number, classes = info
    if integer("dataload_info", number) < 1:
        raise ValueError(f"dataload_info: expected a number >= 1, got {number}")
    parts = list(_random(loader, number) if kind == "random" else _each_class(loader, number, classes))
    inputs, targets = (torch.cat(each).to(device) for each in zip(*parts, strict=True))
    return inputs, targets


def _random(loader: Iterable[Any], batches: int) -> Iterator[tuple[Tensor, Tensor]]:
    found = 0
    for found, (inputs, targets, *_) in enumerate(loader, start=1):
        yield inputs, targets
        if found == batches:
            return
    raise ValueError(f"dataloader: expected {batches} batches, got {found}")


def _each_class(loader: Iterable[Any], number: int, classes: int) -> Iterator[tuple[Tensor, Tensor]]:
    """One part for each class, in order."""
    held: list[list[tuple[Tensor, Tensor]]] = [[] for _ in range(classes)]
    for inputs, targets, *_ in loader:
        for place, target in enumerate(targets.tolist()):
            if not 0 <= target < classes:
                raise ValueError(f"dataload_info: expected targets below {classes}, got {target}")
            if len(held[target]) < number:
                held[target].append((inputs[place : place + 1], targets[place : place + 1]))
        if all(len(each) == number for each in held):
            break
    short = [place for place, each in enumerate(held) if len(each) < number]
    if short:
        raise ValueError(
            f"dataloader: expected {number} samples of each class, got {len(held[short[0]])} of {short[0]}"
        )
    for each in held:
        yield torch.cat([inputs for inputs, _ in each]), torch.cat([targets for _, targets in each])
