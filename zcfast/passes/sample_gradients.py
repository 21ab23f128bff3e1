"""The gradient of each sample's own loss, of all samples in one pass."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from torch.overrides import TorchFunctionMode

from zcfast.passes.batch import Batch
from zcfast.passes.cpu_backend.channels_last import BatchNormCall
from zcfast.passes.net import Net
from zcfast.passes.opaque import UnsupportedError
from zcfast.torch_internals import outside_modes

See = Callable[[int, int, Tensor], None]
"""Of a layer, its place, the first of some samples, and [n, ...]: their gradients by its weight."""

_CONVOLUTIONS = frozenset({F.conv1d, F.conv2d, F.conv3d})
_NUMBERS = 2**22  # of gradients at a time
# By which a net may go another way for one sample than for all, or draws other numbers for it.
_DECIDING = frozenset(
    {
        *(Tensor.__bool__, Tensor.__int__, Tensor.__float__, Tensor.__index__, Tensor.__contains__),
        *(Tensor.item, Tensor.tolist, Tensor.numpy, Tensor.nonzero, torch.nonzero, torch.equal, torch.allclose),
        *(F.dropout, F.dropout1d, F.dropout2d, F.dropout3d, F.alpha_dropout, F.feature_alpha_dropout),
    }
)
_FORMS = frozenset(
    {
        *(Tensor.size, Tensor.dim, Tensor.numel, Tensor.is_floating_point, Tensor.is_complex),
        *(getattr(Tensor, name).__get__ for name in ("shape", "dtype", "device", "ndim", "is_cuda")),
    }
)


@dataclass(frozen=True)
class _Call:
    """One call of a layer: its place, what it got, and how a convolution lies."""

    layer: int
    input: Tensor
    weight: Tensor
    stride: Any = 1
    padding: Any = 0
    dilation: Any = 1
    groups: int = 1


def sample_gradients(net: Net, batch: Batch, see: See) -> None:
    """Show the gradients of the loss of each sample alone by the counted weights, in any order.

    Right for nets that treat each sample by itself but for BatchNorm, which takes a sample's own statistics here as it
    does where that runs alone. Whoever calls compares some samples.

    Raises:
        UnsupportedError: a layer's weight is used in another way than one convolution or linear map of the samples.
    """
    if net.slots.tied:
        raise UnsupportedError("a weight of several layers")
    net.begin_again()
    layer_of = {id(net.copies[net.slots.counted[rank]]): layer for layer, rank in enumerate(net.slots.own)}
    mode = _SampleMode(layer_of, batch.samples, see)
    logits = batch.found_logits(net.forward(batch.inputs, modes=[mode]), batch.samples)
    if logits.dim() == 0 or len(logits) != batch.samples:
        raise UnsupportedError("logits that are not one a sample")
    targets = batch.tensors()[1]
    losses = [batch.loss(logits[n : n + 1], targets[n : n + 1]) for n in range(batch.samples)]
    # Derivatives by what comes first pass all layers behind it on the way, whose own are not taken.
    counted = set(net.slots.counted)
    points = [*mode.first, *(copy for index, copy in enumerate(net.copies) if index not in counted)]
    torch.autograd.grad(torch.stack(losses).sum(), points, allow_unused=True)
    if mode.failure is not None:
        raise mode.failure


class _SampleMode(TorchFunctionMode):
    """Waits at each layer for its gradient, and lets BatchNorm see one sample at a time.

    Attributes:
        first: weights of layers whose input no parameter has moved.
        failure: what a backward pass raised.
    """

    def __init__(self, layer_of: dict[int, int], samples: int, see: See) -> None:
        super().__init__()
        self._layer_of, self._samples, self._see = layer_of, samples, see
        self._called: set[int] = set()
        self.first: list[Tensor] = []
        self.failure: Exception | None = None

    def __torch_function__(self, func: Any, types: Iterable[type], args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is F.batch_norm:
            with outside_modes():
                return _by_samples(BatchNormCall(*args, **kwargs))
        if func in _DECIDING:
            raise UnsupportedError(f"{func} depends on all samples")
        held = [each for each in _tensors((*args, *kwargs.values())) if id(each) in self._layer_of]
        if not held or func in _FORMS:
            return func(*args, **kwargs)
        result = func(*args, **kwargs)
        with outside_modes():
            self._wait(self._call(func, *args, **kwargs), result)
        return result

    def _call(self, func: Any, input: Tensor, weight: Any = None, bias: Any = None, *lie: Any, **named: Any) -> _Call:
        known = func in _CONVOLUTIONS or func is F.linear
        layer = self._layer_of.get(id(weight))
        if not known or layer is None or layer in self._called or id(bias) in self._layer_of:
            raise UnsupportedError(f"a layer's weight in {func}")
        call = _Call(layer, input, weight, *lie, **named)
        if len(input) != self._samples or isinstance(call.padding, str):
            raise UnsupportedError("a layer that is not called on the samples")
        if func is not F.linear and input.dim() != weight.dim():
            raise UnsupportedError("a convolution of one sample")
        self._called.add(layer)
        return call

    def _wait(self, call: _Call, result: Tensor) -> None:
        if result.grad_fn is None:
            raise UnsupportedError("a layer without a gradient")
        if not call.input.requires_grad:
            self.first.append(call.weight)
        result.grad_fn.register_prehook(partial(self._pulled, call))

    def _pulled(self, call: _Call, by_output: tuple[Tensor | None, ...]) -> None:
        gradient = by_output[0]
        if gradient is None or self.failure is not None:
            return
        try:
            step = max(1, _NUMBERS // call.weight.numel())
            for start in range(0, self._samples, step):
                part = slice(start, start + step)
                self._see(call.layer, start, _gradients(call, call.input.detach()[part], gradient.detach()[part]))
        except Exception as error:  # which a backward pass would report as its own
            self.failure = error


def _tensors(values: Iterable[Any]) -> Iterator[Tensor]:
    for each in values:
        if isinstance(each, Tensor):
            yield each
        elif isinstance(each, (tuple, list)):
            yield from _tensors(each)


def _by_samples(call: BatchNormCall) -> Tensor:
    """BatchNorm with statistics of each sample alone, as further channels of one; running ones stay where they are."""
    if not call.training:
        return F.batch_norm(*call)
    x = call.input
    samples, channels = x.shape[:2]
    scales = (None if each is None else each.repeat(samples) for each in (call.weight, call.bias))
    apart = x.reshape(1, samples * channels, *x.shape[2:])
    return F.batch_norm(apart, None, None, *scales, True, 0.0, call.eps).view(x.shape)


def _gradients(call: _Call, inputs: Tensor, by_output: Tensor) -> Tensor:
    """[n, ...] by the weight, of n samples: those of a convolution are groups of one that has n times as many."""
    samples, weight = len(inputs), call.weight
    if inputs.dim() == weight.dim() == 2:
        return by_output[:, :, None] * inputs[:, None]
    if weight.dim() == 2:
        return by_output.flatten(1, -2).transpose(1, 2) @ inputs.flatten(1, -2)
    places = weight.dim() - 2
    stride, padding, dilation = (
        list(each) if isinstance(each, (tuple, list)) else [each] * places
        for each in (call.stride, call.padding, call.dilation)
    )
    apart = [each.reshape(1, -1, *each.shape[2:]) for each in (by_output, inputs)]
    form = weight.new_empty(samples * len(weight), *weight.shape[1:])
    groups = samples * call.groups
    found = torch.ops.aten.convolution_backward(
        *(*apart, form, None, stride, padding, dilation),
        *(False, [0] * places, groups, [False, True, False]),
    )
    gradients: Tensor = found[1].view(samples, *weight.shape)
    return gradients
