"""What each function of torch does with pairs."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

import zcfast._native  # noqa: F401  registers torch.ops.zcfast
from zcfast.passes.flow.pairs import RULES, CountedWeight, Pair, holds_opaque
from zcfast.passes.opaque import Opaque, UnsupportedError
from zcfast.torch_internals import is_view

_SMALL = 65536  # numbers of a sample: half a mebibyte


def _pair(x: Any) -> Pair:
    if not isinstance(x, Pair):
        raise UnsupportedError(f"expected a pair, got {type(x).__name__}")
    return x


def _constant(x: Any) -> Tensor:
    if not isinstance(x, Tensor) or isinstance(x, Opaque):
        raise UnsupportedError(f"expected a constant tensor, got {type(x).__name__}")
    if x.requires_grad:
        raise UnsupportedError("a constant that requires a gradient, so none of the stand-ins")
    if x.numel() and not bool(x.min() >= 0):
        raise UnsupportedError("negative constant")
    return x


def _weight(x: Any) -> tuple[Tensor, int]:
    return (x.weight, x.count) if isinstance(x, CountedWeight) else (_constant(x), 0)


def _weighted(x: Any, weight: Any, apply: Callable[[Tensor, Tensor], Tensor]) -> Pair:
    """What a weight makes of a pair: W value, and W tangent + count W value."""
    x, (plain, count) = _pair(x), _weight(weight)
    value = apply(x.value, plain)
    if x.moved is None:
        assert x.depth is not None
        return Pair(value, None, x.depth + count, x.scale)
    return Pair(value, apply(x.moved, plain).add_(value, alpha=count), None, x.scale)


def _plus_constant(x: Pair, constant: Tensor) -> Pair:
    value = x.value + x.scale * _constant(constant)
    return Pair(value, None, 0, x.scale) if x.depth == 0 else Pair(value, x.tangent.expand_as(value), None, x.scale)


def _convolution(function: Callable[..., Tensor], spatial: int) -> Callable[..., Pair]:
    def rule(input: Any, weight: Any, bias: Any = None, *settings: Any, **options: Any) -> Pair:
        result = _weighted(input, weight, lambda x, w: function(x, w, None, *settings, **options))
        return result if bias is None else _plus_constant(result, bias.reshape(-1, *[1] * spatial))

    return rule


def _two(value: Any) -> tuple[int, ...]:
    return (value, value) if isinstance(value, int) else tuple(value)


def _conv2d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Pair:
    """By the operator of this package where that is faster."""
    x = _pair(input)
    if isinstance(padding, str) or not _suits_operator(x, weight, _two(stride), _two(dilation), groups):
        return _convolution(F.conv2d, 2)(x, weight, bias, stride, padding, dilation, groups)
    plain, count = (weight.parameter, weight.count) if isinstance(weight, CountedWeight) else (_constant(weight), 0)
    both = x.value[None] if x.moved is None else torch.stack([x.value, x.moved])
    made = torch.ops.zcfast.flow_convolution(both, plain, count, *_two(stride), *_two(padding))
    depth = None if x.depth is None else x.depth + count
    result = Pair(made[0], None if x.moved is None else made[1], depth, x.scale)
    return result if bias is None else _plus_constant(result, bias.reshape(-1, 1, 1))


def _suits_operator(x: Pair, weight: Tensor, stride: Sequence[int], dilation: Sequence[int], groups: int) -> bool:
    """Whether the convolution is one that the operator of this package makes, and faster than torch.

    Large samples by 1 x 1 without a stride are a product of matrices, at which torch is as fast.
    """
    if x.value.dim() != 4 or x.value.device.type != "cpu" or groups != 1 or tuple(dilation) != (1, 1):
        return False
    return weight.shape[2:].numel() > 1 or tuple(stride) != (1, 1) or x.value.numel() <= _SMALL


def _linear(input: Any, weight: Any, bias: Any = None) -> Pair:
    result = _weighted(input, weight, F.linear)
    return result if bias is None else _plus_constant(result, bias)


def _add(x: Any, other: Any) -> Pair:
    """The sum of two pairs, or of a pair and a constant in either order."""
    x, other = (x, other) if isinstance(x, Pair) else (other, x)
    pair = _pair(x)
    if isinstance(other, Pair):
        value = pair.value + other.value
        if other.depth == pair.depth is not None:
            return pair.like(value, None)
        return Pair(value, pair.tangent + other.tangent, None, pair.scale)
    if isinstance(other, (int, float)):
        if other == 0:  # where sum() starts
            return pair.copy()
        other = torch.tensor(other, dtype=torch.float64, device=pair.value.device)
    return _plus_constant(pair, other)


def _add_in_place(x: Any, other: Any) -> Pair:
    return _pair(x).replace(_add(x, other))


def _multiply(x: Any, factor: Any) -> Pair:
    x, factor = (x, factor) if isinstance(x, Pair) else (factor, x)
    number = factor if isinstance(factor, (int, float)) and factor >= 0 else _constant(factor)
    return _pair(x).like(x.value * number, None if x.moved is None else x.moved * number)


def _divide(x: Any, divisor: Any) -> Pair:
    if not isinstance(divisor, (int, float)) or not divisor > 0:
        raise UnsupportedError("division other than by a positive number")
    return _pair(x).like(x.value / divisor, None if x.moved is None else x.moved / divisor)


def _relu(input: Any, inplace: bool = False) -> Pair:
    return _pair(input) if inplace else _pair(input).copy()


def _clone(x: Any, **options: Any) -> Pair:
    return _on_each(Tensor.clone, x, **options) if options else _pair(x).copy()


def _innermost(x: Tensor) -> Tensor:
    """An image with its channels innermost, where pools of float64 run several times faster."""
    return x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x


def _avg_pool2d(input: Any, *settings: Any, **options: Any) -> Pair:
    return _on_each(lambda x: F.avg_pool2d(_innermost(x), *settings, **options).contiguous(), input)  # type: ignore[no-any-return]


def _max_pool(function: Callable[..., Any], spatial: int) -> Callable[..., Pair]:
    def rule(input: Any, *settings: Any, return_indices: bool = False, **options: Any) -> Pair:
        x = _pair(input)
        if return_indices:
            raise UnsupportedError("a pool that gives its indices")
        if x.moved is None:
            return x.like(function(_innermost(x.value), *settings, **options).contiguous(), None)
        value, indices = function(_innermost(x.value), *settings, return_indices=True, **options)
        value, indices = value.contiguous(), indices.contiguous()
        return x.like(value, x.moved.flatten(-spatial).gather(-1, indices.flatten(-spatial)).view_as(value))

    return rule


def _concatenation(function: Callable[..., Tensor]) -> Callable[..., Pair]:
    def rule(tensors: Sequence[Any], dim: int = 0) -> Pair:
        pairs = [_pair(x) for x in tensors]
        value = function([x.value for x in pairs], dim)
        depths = {x.depth for x in pairs}
        if len(depths) == 1 and None not in depths:
            return pairs[0].like(value, None)
        return Pair(value, function([x.tangent for x in pairs], dim), None, pairs[0].scale)

    return rule


def _dropout(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Pair:
    x = _pair(input)
    kept = F.dropout(torch.ones_like(x.value), p, training)  # draws the numbers that dropout of the value would
    result = _multiply(x, kept)
    return x.replace(result) if inplace else result


def _pad(input: Any, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Pair:
    if value:
        raise UnsupportedError("padding other than by zeros")
    return _on_each(F.pad, input, pad, mode)  # type: ignore[no-any-return]


def _interpolate(input: Any, size: Any = None, scale_factor: Any = None, mode: str = "nearest", **options: Any) -> Pair:
    if mode == "bicubic":
        raise UnsupportedError("an interpolation of negative weights")
    return _on_each(F.interpolate, input, size, scale_factor, mode, **options)  # type: ignore[no-any-return]


def _on_each(function: Callable[..., Any], x: Any, *settings: Any, **options: Any) -> Any:
    """A function that is linear, with no negative factor: the same for the value and for the tangent."""
    if holds_opaque((*settings, *options.values())) or "out" in options:
        raise UnsupportedError(f"{function} of more than one pair")
    values = function(_pair(x).value, *settings, **options)
    moved = None if x.moved is None else function(x.moved, *settings, **options)
    if isinstance(values, Tensor):
        return _result(x, values, moved)
    return type(values)(_result(x, value, None if moved is None else moved[i]) for i, value in enumerate(values))


def _result(x: Pair, value: Tensor, moved: Tensor | None) -> Pair:
    result = x.like(value, moved)
    if is_view(value) or value is x.value:
        x.has_views = result.has_views = True
    return result


_LINEAR = """
    view reshape flatten unflatten permute transpose swapaxes movedim t unsqueeze squeeze expand select narrow chunk
    split unbind __getitem__ contiguous flip roll tile repeat zeros_like mean sum avg_pool1d avg_pool3d
    adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d pixel_shuffle pixel_unshuffle channel_shuffle
"""


def _named(*names: str) -> Iterator[Any]:
    """torch's functions of these names, wherever they are."""
    for name in names:
        for owner in (torch, Tensor, F):
            if hasattr(owner, name):
                yield getattr(owner, name)


RULES.update({function: partial(_on_each, function) for function in _named(*_LINEAR.split())})
for _names, _rule in (
    ("add", _add),
    ("add_", _add_in_place),
    ("mul multiply", _multiply),
    ("div divide true_divide", _divide),
    ("relu", _relu),
    ("clone", _clone),
    ("relu_", _pair),
    ("cat concat concatenate", _concatenation(torch.cat)),
    ("stack", _concatenation(torch.stack)),
    ("linear", _linear),
    ("conv2d", _conv2d),
    ("avg_pool2d", _avg_pool2d),
    ("dropout", _dropout),
    ("pad", _pad),
    ("interpolate", _interpolate),
    ("matmul mm", lambda x, weight: _weighted(x, weight, torch.matmul)),
):
    RULES.update(dict.fromkeys(_named(*_names.split()), _rule))
for _spatial in (1, 2, 3):
    for _function in (f"conv{_spatial}d", f"conv_transpose{_spatial}d"):
        RULES.update({each: _convolution(each, _spatial) for each in _named(_function) if each not in RULES})
    for _function in (f"max_pool{_spatial}d", f"adaptive_max_pool{_spatial}d"):
        RULES[getattr(F, _function)] = _max_pool(getattr(F, _function), _spatial)


def _flow_convolution_fake(
    stacked: Tensor,
    weight: Tensor,
    count: int,
    stride_height: int,
    stride_width: int,
    pad_height: int,
    pad_width: int,
) -> Tensor:
    height = (stacked.shape[3] + 2 * pad_height - weight.shape[2]) // stride_height + 1
    width = (stacked.shape[4] + 2 * pad_width - weight.shape[3]) // stride_width + 1
    return stacked.new_empty(*stacked.shape[:2], weight.shape[0], height, width)


torch.library.register_fake("zcfast::flow_convolution", _flow_convolution_fake)
