"""Derivatives of each sample's logits by the first number of each parameter, of all samples in one pass."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from zcfast.passes.cpu_backend.channels_last import BatchNormCall
from zcfast.passes.each_sample import EachSample, Pulled
from zcfast.passes.opaque import UnsupportedError

_CONVOLUTIONS = frozenset({F.conv1d, F.conv2d, F.conv3d})


class _LayerCall(NamedTuple):
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


class _LayerNormCall(NamedTuple):
    """The arguments of F.layer_norm, by position or by name."""

    input: Tensor
    normalized_shape: Any
    weight: Tensor | None = None
    bias: Tensor | None = None
    eps: float = 1e-5


class FirstDerivatives(EachSample):
    """Of convolutions, linear layers, BatchNorm in evaluation mode and LayerNorm, each parameter called once."""

    def __init__(self, parameters: Sequence[Tensor], samples: int) -> None:
        """Take all parameters of the net, each in one place."""
        super().__init__({id(each): place for place, each in enumerate(parameters)}, samples)
        self._called = set[int]()
        self._rows = torch.zeros(samples, len(parameters), dtype=torch.float64, device=parameters[0].device)

    def jacobians(self, logits: Tensor, count: int) -> Tensor:
        """[N, classes, count] float64, by the first `count` parameters, of the logits [N, classes] of this pass."""
        found = []
        for each in logits.unbind(1):
            self._rows.zero_()
            torch.autograd.grad(each.sum(), self.first, retain_graph=True, allow_unused=True)
            if self.failure is not None:
                raise self.failure
            found.append(self._rows[:, :count].clone())
        return torch.stack(found, 1)

    def layer(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Pulled:
        """See `EachSample`."""
        if func in _CONVOLUTIONS or func is F.linear:
            call = _LayerCall(*args, **kwargs)
            if call.weight.dim() != (2 if func is F.linear else call.input.dim()) or not call.weight.numel():
                raise UnsupportedError("a convolution of one sample, or an empty layer")
            entered = call.input[..., 0] if func is F.linear else _first_taps(call)
            return self._products(call.weight, call.bias, entered, innermost=func is F.linear)
        if func is F.batch_norm:
            norm = BatchNormCall(*args, **kwargs)
            mean, variance = norm.running_mean, norm.running_var
            if norm.training or mean is None or variance is None:
                raise UnsupportedError("BatchNorm in training mode")
            entered = (norm.input[:, 0] - mean[0]) * (variance[0] + norm.eps).rsqrt()
            return self._products(norm.weight, norm.bias, entered, innermost=False)
        if func is F.layer_norm:
            by_layer = _LayerNormCall(*args, **kwargs)
            entered = F.layer_norm(by_layer.input, by_layer.normalized_shape, eps=by_layer.eps)
            if len(by_layer.normalized_shape) == 1:
                return self._products(by_layer.weight, by_layer.bias, entered[..., 0], innermost=True)
        raise UnsupportedError(f"a parameter in {func}")

    def _products(self, weight: Tensor | None, bias: Tensor | None, entered: Tensor, *, innermost: bool) -> Pulled:
        """The sums over places of the derivative by the first channel, and of its products with what entered it."""
        places = [None if each is None else self.place_of.get(id(each)) for each in (weight, bias)]
        if any(place in self._called for place in places if place is not None):
            raise UnsupportedError("a parameter that is used again")
        self._called.update(place for place in places if place is not None)
        entered = entered.detach()

        def pulled(by_output: Tensor) -> None:
            first = by_output[..., 0] if innermost else by_output[:, 0]
            for place, each in zip(places, (first * entered, first), strict=True):
                if place is not None:
                    self._rows[:, place] = each.double().reshape(self.samples, -1).sum(1)

        return pulled


def _first_taps(call: _LayerCall) -> Tensor:
    """[N, ...]: what the first weight of a convolution multiplies at each place of its output."""
    stride, padding, dilation = (call.each(name) for name in ("stride", "padding", "dilation"))
    padded = F.pad(call.input[:, 0], [side for each in reversed(padding) for side in (each, each)])
    for dim, (step, gap, size) in enumerate(zip(stride, dilation, call.weight.shape[2:], strict=True), start=1):
        places = (padded.shape[dim] - gap * (size - 1) - 1) // step + 1
        padded = padded.narrow(dim, 0, step * (places - 1) + 1)[(slice(None),) * dim + (slice(None, None, step),)]
    return padded
