"""Parameters and multiply-adds of a user's networks, which are built for them with weights that are never drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from zcfast.errors import first_line
from zcfast.nets.counted import trainable
from zcfast.nets.inputs import Inputs, call_net, first_two, mapped, sample_count, tensors_of
from zcfast.nets.products import counting
from zcfast.nets.seeding import seeded
from zcfast.spaces.base import Example
from zcfast.spaces.capabilities import LayerKinds, Sizes
from zcfast.spaces.own.no_samples import NoSamples
from zcfast.spaces.own.undrawn import Undrawn


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
    """The sizes of networks that a space builds, by the rules of the proxies params and multiply_adds, for one sample.

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
        """Multiply-adds of all products and convolutions that run, for one sample of the example, int64 [N].

        Attention, functions on parameters and products of activations count like layers; it is half of what torch's
        FlopCounterMode counts.

        Raises:
            ValueError: a network that cannot be built.
        """
        return torch.tensor([work_of(kinds) for _, kinds in self._of(cells)], dtype=torch.int64)

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


def work_of(kinds: Kinds) -> int:
    """Multiply-adds of all kinds."""
    return sum(work for _, work in kinds.values())


def counted(module: nn.Module, again: Callable[[], nn.Module], inputs: Inputs) -> tuple[int, Kinds]:
    """Parameters of a network, and what it does by kind, with undrawn weights; it is used up.

    Args:
        module: the network.
        again: makes it with its weights, where only samples show its shapes.
        inputs: of the example.
    """
    params = trainable(module)
    try:
        return params, _without_samples(module.train(), inputs)
    except Exception:  # whatever a net raises that gets no samples
        return params, _with_samples(again().train(), inputs)


def _without_samples(module: nn.Module, inputs: Inputs) -> Kinds:
    none = mapped(lambda x: x[:0], inputs)
    for each in module.modules():
        if isinstance(each, nn.modules.batchnorm._BatchNorm):
            each._buffers["num_batches_tracked"] = None  # nothing to count: one call less of each
    mode = NoSamples(tensors_of(none))
    with mode:
        output = call_net(module, none)
    mode.require_seen(output)
    return mode.kinds


def _with_samples(module: nn.Module, inputs: Inputs) -> Kinds:
    """What one sample takes: products of weights alone are not divided among the samples of a batch."""
    few = mapped(Tensor.clone, first_two(inputs))
    twice = mapped(lambda x: torch.cat([x, x]), few)
    work, more = _kinds_of(module, few), _kinds_of(module, twice)
    each = sample_count(few)
    return {
        kind: (calls, round(done - (more[kind][1] - done) * (each - 1) / each)) for kind, (calls, done) in work.items()
    }


def _kinds_of(module: nn.Module, samples: Inputs) -> dict[str, tuple[int, float]]:
    with counting(module.modules()) as mode:
        call_net(module, samples)
    return mode.kinds
