"""Parameters and multiply-adds of a user's networks, which are built for them with weights that are never drawn."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from zcfast.errors import first_line
from zcfast.nets.counted import COUNTABLE, channel_dim, trainable
from zcfast.nets.inputs import Inputs, call_net, mapped, sample_count, tensors_of
from zcfast.nets.seeding import seeded
from zcfast.spaces.base import Example
from zcfast.spaces.capabilities import Sizes
from zcfast.spaces.own.no_samples import NoSamples, OtherwiseShapedError
from zcfast.spaces.own.undrawn import Undrawn
from zcfast.torch_internals import outside_transforms

_SAMPLES = 2  # of a pass with samples: BatchNorm takes no single one


class Outlines(Protocol):
    """A space that makes networks whose weights do not matter."""

    name: str
    example: Example

    def format(self, cells: Any) -> list[str]:
        """The text of each architecture."""

    def outline(self, architecture: str) -> nn.Module:
        """The network of a text, which nothing else holds."""


class BuiltSizes(Sizes):
    """The sizes of networks that a space builds: the same numbers as the proxies params and flops.

    A network with undrawn weights takes a batch of no samples. One that mixes the samples with another dimension, or
    does what is not known, takes two real ones.
    """

    def __init__(self, space: Outlines) -> None:
        """Take the space."""
        self._space = space
        self._known: dict[str, tuple[int, int]] = {}

    def params(self, cells: Any, **network: Any) -> Tensor:
        """Trainable parameters of each architecture's network, int64 [N].

        Raises:
            ValueError: a network that cannot be built.
        """
        return self._of(cells)[:, 0]

    def flops(self, cells: Any, **network: Any) -> Tensor:
        """Multiply-adds of the counted layers for one sample of the example, int64 [N].

        Raises:
            ValueError: a network that cannot be built, or does not take the example.
        """
        return self._of(cells)[:, 1]

    def _of(self, cells: Any) -> Tensor:
        texts = self._space.format(cells)
        for text in texts:
            if text not in self._known:
                self._known[text] = self._measured(text)
        return torch.tensor([self._known[text] for text in texts], dtype=torch.int64).reshape(-1, 2)

    def _measured(self, text: str) -> tuple[int, int]:
        try:
            with seeded(0), torch.no_grad():
                with Undrawn():
                    module = self._space.outline(text)
                return counted(module, lambda: self._space.outline(text), self._space.example.inputs)
        except Exception as error:  # a foreign net: what it raises is the answer
            raise ValueError(f"{self._space.name}: no sizes of {text}: {first_line(error)}") from error


def counted(module: nn.Module, again: Callable[[], nn.Module], inputs: Inputs) -> tuple[int, int]:
    """Parameters and multiply-adds of a network with undrawn weights, which is used up.

    Args:
        module: the network.
        again: makes it with its weights, where only samples show its shapes.
        inputs: of the example.
    """
    params = trainable(module)
    try:
        return params, _without_samples(module, inputs)
    except Exception:  # whatever a net raises that gets no samples
        return params, _with_samples(again(), inputs)


def _without_samples(module: nn.Module, inputs: Inputs) -> int:
    none = mapped(lambda x: x[:0], inputs)

    def places(output: Tensor, channels: int) -> int:
        if channels == 0 or output.shape[0] != 0 or outside_transforms(output) is not output:
            raise OtherwiseShapedError("a layer's output without samples")
        return math.prod(output.shape[1:channels] + output.shape[channels + 1 :])

    with NoSamples(tensors_of(none)):
        return _multiply_adds(module, none, places)


def _with_samples(module: nn.Module, inputs: Inputs) -> int:
    def places(output: Tensor, channels: int) -> int:
        return outside_transforms(output).numel() // output.shape[channels] if output.shape[channels] else 0

    samples = mapped(lambda x: x[:_SAMPLES].clone(), inputs)
    return _multiply_adds(module, samples, places) // sample_count(samples)


def _multiply_adds(module: nn.Module, inputs: Inputs, places: Callable[[Tensor, int], int]) -> int:
    """The products of weights and places of all calls of counted layers in a forward pass."""
    total = 0

    def count(layer: nn.Module, _: Any, output: Tensor) -> None:
        nonlocal total
        channels = channel_dim(layer, output)
        total += layer.weight.numel() * places(output, channels)  # type: ignore[operator]

    counted = [layer for layer in module.modules() if isinstance(layer, COUNTABLE)]
    hooks = [layer.register_forward_hook(count, prepend=True) for layer in counted]
    try:
        module.train()
        call_net(module, inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return total
