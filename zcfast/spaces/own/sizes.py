"""Parameters and multiply-adds of a user's networks, which are built for them with weights that are never drawn."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from zcfast.errors import first_line
from zcfast.nets.counted import COUNTABLE, channel_dim, layer_kind, trainable
from zcfast.nets.inputs import Inputs, call_net, mapped, sample_count, tensors_of
from zcfast.nets.seeding import seeded
from zcfast.spaces.base import Example
from zcfast.spaces.capabilities import LayerKinds, Sizes
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


Kinds = dict[str, tuple[int, int]]  # of layers -> calls and multiply-adds of one sample


class BuiltSizes(Sizes, LayerKinds):
    """The sizes of networks that a space builds: the same numbers as the proxies params and flops.

    A network with undrawn weights takes a batch of no samples. One that mixes the samples with another dimension, or
    does what is not known, takes two real ones.
    """

    def __init__(self, space: Outlines) -> None:
        """Take the space."""
        self._space = space
        self._known: dict[str, tuple[int, Kinds]] = {}

    def params(self, cells: Any, **network: Any) -> Tensor:
        """Trainable parameters of each architecture's network, int64 [N].

        Raises:
            ValueError: a network that cannot be built.
        """
        return torch.tensor([params for params, _ in self._of(cells)], dtype=torch.int64)

    def flops(self, cells: Any, **network: Any) -> Tensor:
        """Multiply-adds of the counted layers for one sample of the example, int64 [N].

        Raises:
            ValueError: a network that cannot be built, or does not take the example.
        """
        works = [sum(work for _, work in kinds.values()) for _, kinds in self._of(cells)]
        return torch.tensor(works, dtype=torch.int64)

    def layer_kinds(self, cells: Any) -> list[Mapping[str, tuple[int, int]]]:
        """See ``LayerKinds``."""
        return [kinds for _, kinds in self._of(cells)]

    def _of(self, cells: Any) -> list[tuple[int, Kinds]]:
        texts = self._space.format(cells)
        for text in texts:
            if text not in self._known:
                self._known[text] = self._measured(text)
        return [self._known[text] for text in texts]

    def _measured(self, text: str) -> tuple[int, Kinds]:
        try:
            with seeded(0), torch.no_grad():
                with Undrawn():
                    module = self._space.outline(text)
                return counted(module, lambda: self._space.outline(text), self._space.example.inputs)
        except Exception as error:  # a foreign net: what it raises is the answer
            raise ValueError(f"{self._space.name}: no sizes of {text}: {first_line(error)}") from error


def counted(module: nn.Module, again: Callable[[], nn.Module], inputs: Inputs) -> tuple[int, Kinds]:
    """Parameters of a network, and its layers by kind, with undrawn weights; it is used up.

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


def _without_samples(module: nn.Module, inputs: Inputs) -> Kinds:
    none = mapped(lambda x: x[:0], inputs)

    def places(output: Tensor, channels: int) -> int:
        if channels == 0 or output.shape[0] != 0 or outside_transforms(output) is not output:
            raise OtherwiseShapedError("a layer's output without samples")
        return math.prod(output.shape[1:channels] + output.shape[channels + 1 :])

    with NoSamples(tensors_of(none)):
        return _kinds(module, none, places)


def _with_samples(module: nn.Module, inputs: Inputs) -> Kinds:
    def places(output: Tensor, channels: int) -> int:
        return outside_transforms(output).numel() // output.shape[channels] if output.shape[channels] else 0

    samples = mapped(lambda x: x[:_SAMPLES].clone(), inputs)
    count = sample_count(samples)
    return {kind: (calls, work // count) for kind, (calls, work) in _kinds(module, samples, places).items()}


def _kinds(module: nn.Module, inputs: Inputs, places: Callable[[Tensor, int], int]) -> Kinds:
    """Calls of counted layers in a forward pass by kind, and the products of their weights and places."""
    found: Kinds = {}

    def count(layer: nn.Module, _: Any, output: Tensor) -> None:
        channels, kind = channel_dim(layer, output), layer_kind(layer)
        calls, work = found.get(kind, (0, 0))
        found[kind] = calls + 1, work + layer.weight.numel() * places(output, channels)  # type: ignore[operator]

    counted = [layer for layer in module.modules() if isinstance(layer, COUNTABLE)]
    hooks = [layer.register_forward_hook(count, prepend=True) for layer in counted]
    try:
        module.train()
        call_net(module, inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return found
