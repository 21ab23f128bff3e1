"""What the counted layers put out during one forward pass."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from zcfast.passes.failures import ProxyError
from zcfast.passes.layers import Layer
from zcfast.torch_internals import outside_transforms


@dataclass(frozen=True)
class Activations:
    """Outputs of the counted layers and the derivatives of the loss by them, of the minibatch.

    calls holds, for each layer, one pair (activation, gradient) a call of the layer, both [n, ...] of one shape.
    """

    layers: Sequence[Layer]
    calls: Sequence[Sequence[tuple[Tensor, Tensor]]]


@dataclass
class Recording:
    """Outputs of the counted layers in order of execution, each before anything that follows has touched it.

    Attributes:
        layer: index of the layer of each call.
        positions: places of each output at which the weight was applied, over all samples.
        outputs: the outputs, if they were to be kept.
        without_gradient: name of a layer that ran with gradients off, if any did: inside reentrant checkpointing, whose
            gradients only .backward() reaches, it would seem to score 0.
        transformed: name of a layer that ran inside torch.func.vmap or the like, if any did: such an output has no
            derivative outside of it, and is not kept.
    """

    layer: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    outputs: list[Tensor] = field(default_factory=list)
    versions: list[int] = field(default_factory=list)
    without_gradient: str | None = None
    transformed: str | None = None

    def was_overwritten(self) -> bool:
        """Whether an in-place operation has changed an output that was kept."""
        return any(output._version != version for output, version in zip(self.outputs, self.versions, strict=True))

    def check_gradients(self) -> None:
        """Raise ProxyError where a layer has no gradient to give."""
        if self.without_gradient is not None:
            raise _without_gradient(self.without_gradient)

    def with_gradients(self, layers: Sequence[Layer], gradients: Sequence[Tensor]) -> Activations:
        """The outputs that were kept, of each layer, with the gradients by them."""
        calls: list[list[tuple[Tensor, Tensor]]] = [[] for _ in layers]
        for layer, output, gradient in zip(self.layer, self.outputs, gradients, strict=True):
            calls[layer].append((output.detach(), gradient))
        return Activations(layers, calls)

    def check_outputs(self) -> None:
        """Raise ProxyError where the output of a layer could not be kept."""
        if self.transformed is not None:
            reason = f"layer {self.transformed!r} runs inside torch.func.vmap or the like, which hides its output"
            raise ProxyError("refused", reason)


@contextmanager
def recorded(layers: Sequence[Layer], *, keep: bool = False, clone: bool = False) -> Iterator[Recording]:
    """Record the outputs of the layers while a net runs.

    Args:
        layers: the counted layers.
        keep: keep the outputs, not only their shapes.
        clone: let a copy flow on, so that in-place operations leave the kept output alone.
    """
    recording = Recording()

    def observe(index: int, layer: Layer, output: Tensor) -> Tensor | None:
        if not torch.is_grad_enabled():
            recording.without_gradient = layer.name
        channel_dim = layer.channel_dim(output)
        channels = output.shape[channel_dim]
        recording.layer.append(index)
        whole = outside_transforms(output)
        recording.positions.append(whole.numel() // channels if channels else 0)
        if whole is not output:
            recording.transformed = layer.name
            return None
        if not keep or not torch.is_grad_enabled():
            return None
        recording.outputs.append(output)
        recording.versions.append(output._version)
        return output.clone() if clone else None

    handles = [
        layer.module.register_forward_hook(
            lambda module, args, output, index=index, layer=layer: observe(index, layer, output),
            prepend=True,  # hooks of the caller's may change the output
        )
        for index, layer in enumerate(layers)
    ]
    try:
        yield recording
    finally:
        for handle in handles:
            handle.remove()


def _without_gradient(name: str) -> ProxyError:
    reason = f"layer {name!r} runs under no_grad, or in reentrant checkpointing (try use_reentrant=False)"
    return ProxyError("refused", reason)


def gradient_checks(layers: Sequence[Layer]) -> list[tuple[nn.Module, Callable[[nn.Module, Any, Any], None]]]:
    """Forward hooks of layers, which raise ProxyError where one has no gradient to give."""
    return [(layer.module, partial(_check_gradient, layer)) for layer in layers]


def _check_gradient(layer: Layer, *_: Any) -> None:
    if not torch.is_grad_enabled():
        raise _without_gradient(layer.name)


def check_graph(value: Tensor, points: Iterable[Tensor]) -> None:
    """Raise ProxyError where a value has no graph, though some points need a gradient: it would seem to be 0."""
    if not value.requires_grad and any(point.requires_grad for point in points):
        reason = "no gradient leads to the logits: no_grad, detach() or numpy cuts it, or no parameter is used"
        raise ProxyError("refused", reason)


def has_inplace_modules(modules: Sequence[nn.Module]) -> bool:
    """Whether some module declares that it overwrites its input."""
    return any(getattr(child, "inplace", False) is True for child in modules)
