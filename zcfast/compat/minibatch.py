"""Minibatches out of data loaders, as the field's codes take them."""

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from zcfast.devices import present_device
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
        TypeError, ValueError: the loader gives other things or ends before, or an argument is wrong.
    """
    if not (isinstance(info, (tuple, list)) and len(info) == 3 and info[0] in ("random", "grasp")):
        raise ValueError(f"dataload_info: expected ('random' or 'grasp', a number, classes), got {info!r}")
    kind, number, classes = info
    if integer("dataload_info", number) < 1:
        raise ValueError(f"dataload_info: expected a number >= 1, got {number}")
    if kind == "grasp" and integer("dataload_info", classes) < 1:
        raise ValueError(f"dataload_info: expected classes >= 1, got {classes}")
    place, batches = present_device(device), _batches(loader)
    parts = list(_random(batches, number) if kind == "random" else _each_class(batches, number, classes))
    inputs, targets = (torch.cat(each).to(place) for each in zip(*parts, strict=True))
    return inputs, targets


def _batches(loader: Iterable[Any]) -> Iterator[tuple[Tensor, Tensor]]:
    """What a loader gives, as far as it is asked, if it is pairs of tensors of as many samples and of one form."""
    if not isinstance(loader, Iterable):
        raise TypeError(f"dataloader: expected batches (inputs, targets), got {type(loader).__name__}")
    first: list[torch.Size] = []
    for batch in loader:
        pair = batch[:2] if isinstance(batch, (tuple, list)) else ()
        if len(pair) != 2 or not all(isinstance(each, Tensor) and each.dim() for each in pair):
            raise TypeError(f"dataloader: expected batches (inputs, targets) of tensors, got {type(batch).__name__}")
        inputs, targets = pair
        if len(inputs) != len(targets):
            raise ValueError(f"dataloader: expected a target of each input, got {len(targets)} of {len(inputs)}")
        forms = [each.shape[1:] for each in pair]
        first = first or forms
        if forms != first:
            raise ValueError(f"dataloader: expected batches of one form {_text(first)}, got {_text(forms)}")
        yield inputs, targets


def _text(forms: list[torch.Size]) -> str:
    return " and ".join(str(["N", *form]).replace("'", "") for form in forms)


def _random(loader: Iterable[tuple[Tensor, Tensor]], batches: int) -> Iterator[tuple[Tensor, Tensor]]:
    found = 0
    for found, (inputs, targets) in enumerate(loader, start=1):
        yield inputs, targets
        if found == batches:
            return
    raise ValueError(f"dataloader: expected {batches} batches, got {found}")


def _each_class(loader: Iterable[tuple[Tensor, Tensor]], number: int, classes: int) -> Iterator[tuple[Tensor, Tensor]]:
    """One part for each class, in order."""
    held: list[list[tuple[Tensor, Tensor]]] = [[] for _ in range(classes)]
    for inputs, targets in loader:
        if targets.dim() != 1 or targets.dtype == torch.bool or targets.is_floating_point() or targets.is_complex():
            form = f"{list(targets.shape)} {str(targets.dtype).removeprefix('torch.')}"
            raise ValueError(f"dataloader: expected targets [N] of integers to take samples of each class, got {form}")
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
