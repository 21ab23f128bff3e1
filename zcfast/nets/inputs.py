"""What a net is called with: a tensor, several in order, or several by keyword."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from zcfast.nets.seeding import seeded

Inputs: TypeAlias = Tensor | tuple[Tensor, ...] | dict[str, Tensor]
"""A tensor x of `net(x)`, a tuple of `net(*inputs)`, or a dict of `net(**inputs)`; each tensor [N, ...]."""


def checked_inputs(value: Any, name: str = "inputs") -> Inputs:
    """The same tensors in a container of our own; one alone in a tuple is that tensor.

    Args:
        value: a tensor, or a tuple, list or mapping of tensors.
        name: of the argument, for errors.

    Raises:
        TypeError: it is something else.
        ValueError: there is none, one is not dense or holds no sample, or the numbers of samples differ.
    """
    inputs = _contained(value, name)
    tensors = named_tensors(inputs, name)
    if not tensors:
        raise ValueError(f"{name}: expected at least one tensor, got none")
    for label, tensor in tensors.items():
        check_dense(label, tensor)
        if tensor.dim() == 0 or len(tensor) == 0:
            raise ValueError(f"{label}: expected at least one sample, got shape {tuple(tensor.shape)}")
    first, samples = next(iter(tensors)), sample_count(inputs)
    for label, tensor in tensors.items():
        if len(tensor) != samples:
            expected = f"expected {samples} samples, as {first} has"
            raise ValueError(f"{label}: {expected}, got shape {tuple(tensor.shape)}")
    return inputs


def first_minibatch(value: Any) -> Any:
    """The first minibatch of a DataLoader, which moves no generator of the caller's; anything else as it is."""
    if not isinstance(value, DataLoader):
        return value
    with seeded(torch.initial_seed()):
        return next(iter(value), None)


def check_dense(name: str, tensor: Any) -> None:
    """Raise unless a value is a dense tensor."""
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{name}: expected a tensor, got {type(tensor).__name__}")
    if tensor.layout != torch.strided or tensor.is_nested:
        kind = "nested" if tensor.is_nested else str(tensor.layout)
        raise ValueError(f"{name}: expected a dense tensor, got a {kind} one")


def _contained(value: Any, name: str) -> Inputs:
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"{name}: expected keywords of the net as keys, got {key!r}")
        return dict(value)
    if isinstance(value, (tuple, list)):
        return value[0] if len(value) == 1 and isinstance(value[0], Tensor) else tuple(value)
    if isinstance(value, Tensor):
        return value
    raise TypeError(f"{name}: expected a tensor, a tuple of tensors or a dict of them, got {type(value).__name__}")


def named_tensors(inputs: Inputs, name: str = "inputs") -> dict[str, Tensor]:
    """Each tensor by what a message calls it: inputs, inputs[0] or inputs['mask']."""
    if isinstance(inputs, dict):
        return {f"{name}[{key!r}]": tensor for key, tensor in inputs.items()}
    if isinstance(inputs, tuple):
        return {f"{name}[{place}]": tensor for place, tensor in enumerate(inputs)}
    return {name: inputs}


def tensors_of(inputs: Inputs) -> list[Tensor]:
    """All tensors, in order."""
    return (
        list(inputs.values()) if isinstance(inputs, dict) else list(inputs) if isinstance(inputs, tuple) else [inputs]
    )


def tensors_within(values: Iterable[Any]) -> Iterator[Tensor]:
    """All tensors of some values, such as a function's arguments, and of tuples, lists and dicts among these."""
    for each in values:
        if isinstance(each, Tensor):
            yield each
        elif isinstance(each, (tuple, list)):
            yield from tensors_within(each)
        elif isinstance(each, dict):
            yield from tensors_within(each.values())


def mapped(function: Callable[[Tensor], Tensor], inputs: Inputs) -> Inputs:
    """What a function makes of each tensor, in a container of the same form."""
    if isinstance(inputs, dict):
        return {key: function(tensor) for key, tensor in inputs.items()}
    return tuple(map(function, inputs)) if isinstance(inputs, tuple) else function(inputs)


def first_two(inputs: Inputs) -> Inputs:
    """Two samples of them, as many as BatchNorm needs."""
    return mapped(lambda x: x[:2], inputs)


def only_tensor(inputs: Inputs) -> Tensor | None:
    """The tensor of inputs that hold one alone, whatever holds it."""
    tensors = tensors_of(inputs)
    return tensors[0] if len(tensors) == 1 else None


def sample_count(inputs: Inputs) -> int:
    """How many samples there are."""
    return tensors_of(inputs)[0].shape[0]  # len() is an operation that modes around a net would see


def sample_shape(inputs: Inputs) -> Any:
    """The shape of one sample: of one tensor its sizes, of several a list or dict of these."""
    if isinstance(inputs, dict):
        return {key: list(tensor.shape[1:]) for key, tensor in inputs.items()}
    return [list(each.shape[1:]) for each in inputs] if isinstance(inputs, tuple) else list(inputs.shape[1:])


def call_net(net: nn.Module, inputs: Inputs) -> Any:
    """What a net returns for inputs."""
    if isinstance(inputs, dict):
        return net(**inputs)
    return net(*inputs) if isinstance(inputs, tuple) else net(inputs)
