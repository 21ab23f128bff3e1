"""The gradient of each sample's own loss, of all samples in one pass."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from zcfast.passes.batch import Batch
from zcfast.passes.each_sample import EachSample, Pulled
from zcfast.passes.net import Net
from zcfast.passes.opaque import UnsupportedError

See = Callable[[int, int, Tensor], None]
"""Of a layer, its place, the first of some samples, and [n, ...]: their gradients by its weight."""

CONVOLUTIONS = frozenset({F.conv1d, F.conv2d, F.conv3d})
_NUMBERS = 2**22  # of gradients at a time


class LayerCall(NamedTuple):
    """The arguments of a convolution or F.linear, by position or by name."""

    input: Tensor
    weight: Tensor
    bias: Tensor | None = None
    stride: Any = 1
    padding: Any = 0
    dilation: Any = 1
    groups: int = 1

    def each(self, name: str) -> list[int]:
        """An argument of a convolution, one number a dimension.

        Raises:
            UnsupportedError: it is a word.
        """
        value, places = getattr(self, name), self.weight.dim() - 2
        if isinstance(value, str):
            raise UnsupportedError(f"{name} {value!r}")
        return list(value) if isinstance(value, (tuple, list)) else [value] * places


def sample_gradients(net: Net, batch: Batch, see: See) -> None:
    """Show the gradients of the loss of each sample alone by the counted weights, in any order; see `EachSample`.

    Raises:
        UnsupportedError: a layer's weight is used in another way than one convolution or linear map of the samples.
    """
    if net.slots.tied:
        raise UnsupportedError("a weight of several layers")
    net.begin_again()
    layer_of = {id(net.copies[net.slots.counted[rank]]): layer for layer, rank in enumerate(net.slots.own)}
    mode = _ByWeights(layer_of, batch.samples, see)
    logits = batch.found_logits(net.forward(batch.inputs, modes=[mode]), batch.samples)
    if logits.dim() == 0 or len(logits) != batch.samples:
        raise UnsupportedError("logits that are not one a sample")
    targets = batch.tensors()[1]
    losses = [batch.loss(logits[n : n + 1], targets[n : n + 1]) for n in range(batch.samples)]
    counted = set(net.slots.counted)
    points = [*mode.first, *(copy for index, copy in enumerate(net.copies) if index not in counted)]
    torch.autograd.grad(torch.stack(losses).sum(), points, allow_unused=True)
    if mode.failure is not None:
        raise mode.failure


class _ByWeights(EachSample):
    """Shows the samples' gradients at each layer."""

    def __init__(self, layer_of: dict[int, int], samples: int, see: See) -> None:
        super().__init__(layer_of, samples)
        self._see, self._called = see, set[int]()

    def layer(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Pulled:
        if not (func in CONVOLUTIONS or func is F.linear):
            raise UnsupportedError(f"a layer's weight in {func}")
        call = LayerCall(*args, **kwargs)
        layer = self.place_of.get(id(call.weight))
        if layer is None or layer in self._called or id(call.bias) in self.place_of:
            raise UnsupportedError("a layer that is called again, or whose weight is something else")
        if call.weight.dim() != (2 if func is F.linear else call.input.dim()) or not call.weight.numel():
            raise UnsupportedError("a convolution of one sample, or an empty layer")
        self._called.add(layer)

        def pulled(by_output: Tensor) -> None:
            step = max(1, _NUMBERS // call.weight.numel())
            for start in range(0, self.samples, step):
                part = slice(start, start + step)
                self._see(layer, start, _gradients(call, call.input.detach()[part], by_output[part]))

        return pulled


def _gradients(call: LayerCall, inputs: Tensor, by_output: Tensor) -> Tensor:
    """[n, ...] by the weight, of n samples: those of a convolution are groups of one that has n times as many."""
    samples, weight = len(inputs), call.weight
    if inputs.dim() == weight.dim() == 2:
        return by_output[:, :, None] * inputs[:, None]
    if weight.dim() == 2:
        return by_output.flatten(1, -2).transpose(1, 2) @ inputs.flatten(1, -2)
    apart = [each.reshape(1, -1, *each.shape[2:]) for each in (by_output, inputs)]
    form = weight.new_empty(samples * len(weight), *weight.shape[1:])
    lie = [call.each(name) for name in ("stride", "padding", "dilation")]
    found = torch.ops.aten.convolution_backward(
        *(*apart, form, None, *lie, False, [0] * (weight.dim() - 2), samples * call.groups, [False, True, False])
    )
    gradients: Tensor = found[1].view(samples, *weight.shape)
    return gradients
