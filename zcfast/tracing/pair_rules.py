"""What each operation of torch does with pairs."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

import zcfast._native  # noqa: F401  registers torch.ops.zcfast
from zcfast.tracing.pairs import RULES, CountedWeight, Pair, Tracked, UnsupportedError
from zcfast.tracing.pools import avg_pool2d, innermost

aten = torch.ops.aten
_SMALL = 65536  # numbers of a sample: half a mebibyte


def _pair(x: Any) -> Pair:
    if not isinstance(x, Pair):
        raise UnsupportedError(f"expected a pair, got {type(x).__name__}")
    return x


def _inner(dim: int) -> int:
    """A dimension of the pair's shape as a dimension of the stacked tensor."""
    return dim + 1 if dim >= 0 else dim


def _constant(x: Any) -> Tensor:
    if not isinstance(x, Tensor) or isinstance(x, Tracked):
        raise UnsupportedError(f"expected a constant tensor, got {type(x).__name__}")
    if x.requires_grad:
        raise UnsupportedError("a constant that requires a gradient, so none of the stand-ins")
    if x.numel() and not bool(x.min() >= 0):
        raise UnsupportedError("negative constant")
    return x


def _weight(x: Any) -> tuple[Tensor, int]:
    return (x.weight, x.count) if isinstance(x, CountedWeight) else (_constant(x), 0)


def _deeper(x: Pair, stacked: Tensor, count: int) -> Pair:
    """The pair that a weight makes of x: `stacked` is (W value, W tangent + count W value), or W value alone."""
    return Pair(stacked, x.scale, None if x.depth is None else x.depth + count)


def _multiplied(x: Pair, stacked: Tensor, count: int) -> Pair:
    """The same, given W times what is stacked."""
    if x.depth is None and count:
        stacked[1].add_(stacked[0], alpha=count)
    return _deeper(x, stacked, count)


def plus_constant(x: Pair, constant: Tensor) -> Pair:
    """The sum, a new pair."""
    value = x.stacked[0] + x.scale * _constant(constant)
    if value.shape != x.shape:
        raise UnsupportedError("sum with a constant of more dimensions")
    if x.depth == 0:
        return x.with_stacked(value[None])
    return Pair(torch.stack([value, x.tangent()]), x.scale, None)


def convolution(x: Any, weight: Any, bias: Any, *settings: Any) -> Pair:
    """As aten.convolution, by the operator of this package where that is faster."""
    x = _pair(x)
    if _suits_operator(x, weight, *settings):
        plain, count = (weight.parameter, weight.count) if isinstance(weight, CountedWeight) else (_constant(weight), 0)
        stacked = torch.ops.zcfast.flow_convolution(x.stacked, plain, count, *settings[0], *settings[1])
        result = _deeper(x, stacked, count)
    else:
        plain, count = _weight(weight)
        merged = aten.convolution.default(x.merged(), plain, None, *settings)
        result = _multiplied(x, merged.unflatten(0, (len(x.stacked), -1)), count)
    return result if bias is None else plus_constant(result, bias.reshape(-1, *[1] * (x.dim() - 2)))


def _suits_operator(
    x: Pair,
    weight: Tensor,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
) -> bool:
    """Whether the convolution is one that the operator of this package makes, and faster than torch.

    Large samples by 1 x 1 without a stride are a product of matrices, at which torch is as fast.
    """
    if x.dim() != 4 or x.device.type != "cpu" or x.dtype != torch.float64 or transposed or groups != 1:
        return False
    if tuple(dilation) != (1, 1):
        return False
    return weight.shape[2:].numel() > 1 or tuple(stride) != (1, 1) or x.shape[1:].numel() <= _SMALL


def product(x: Any, weight: Any) -> Pair:
    """As aten.mm."""
    x, (plain, count) = _pair(x), _weight(weight)
    return _multiplied(x, x.stacked @ plain, count)


def add(x: Any, other: Any) -> Pair:
    """The sum of two pairs, or of a pair and a constant in either order."""
    x, other = (x, other) if isinstance(x, Pair) else (other, x)
    pair = _pair(x)
    if isinstance(other, Pair):
        if other.dim() != pair.dim():
            raise UnsupportedError("sum of pairs of different dimensions")
        if other.depth == pair.depth:
            return pair.with_stacked(pair.stacked + other.stacked)
        return Pair(pair.both() + other.both(), pair.scale, None)
    if isinstance(other, (int, float)):
        if other == 0:  # where sum() starts
            return pair.with_stacked(pair.stacked)
        other = torch.tensor(other, dtype=pair.dtype, device=pair.device)
    return plus_constant(pair, other)


def _factor(factor: Any) -> float:
    if isinstance(factor, (int, float)) and factor >= 0:
        return float(factor)
    raise UnsupportedError("product other than with a non-negative number")


def _max_pool(operation: Any, spatial: int) -> Callable[..., Any]:
    def rule(x: Any, *settings: Any) -> Any:
        value, indices = operation(innermost(_pair(x).stacked[0]), *settings)
        value, indices = value.contiguous(), indices.contiguous()
        if x.depth is not None:
            return x.with_stacked(value[None]), indices
        tangent = x.stacked[1].flatten(-spatial).gather(-1, indices.flatten(-spatial)).view_as(value)
        return x.with_stacked(torch.stack([value, tangent])), indices

    return rule


max_pool2d = _max_pool(aten.max_pool2d_with_indices, 2)


def average_pool2d(x: Any, *settings: Any) -> Pair:
    """The mean of the windows, as aten.avg_pool2d."""
    return _pair(x).unmerged(avg_pool2d(x.merged(), *settings))


def _pooling(operation: Any) -> Callable[..., Any]:
    return lambda x, *settings: _pair(x).unmerged(operation(innermost(x.merged()), *settings).contiguous())


def _reduction(operation: Any) -> Callable[..., Any]:
    def rule(x: Any, dim: Sequence[int] | None = None, keepdim: bool = False) -> Pair:
        dims = [_inner(d) for d in dim] if dim else list(range(1, _pair(x).stacked.dim()))
        return x.with_stacked(operation(x.stacked, dims, keepdim))  # type: ignore[no-any-return]

    return rule


mean = _reduction(aten.mean)


def view_of(x: Any, view: Callable[[Tensor], Tensor]) -> Pair:
    """A view, made of the stacked tensor; from now on neither may be written to."""
    result = _pair(x).with_stacked(view(x.stacked))
    x.has_views = result.has_views = True
    return result


def _views_of(x: Any, views: Callable[[Tensor], Sequence[Tensor]]) -> list[Pair]:
    results = [_pair(x).with_stacked(view) for view in views(x.stacked)]
    for pair in (x, *results):
        pair.has_views = True
    return results


def transposed(x: Any, first: int, second: int) -> Tensor:
    """Of a pair, or of a weight before a product."""
    if isinstance(x, CountedWeight):
        return CountedWeight(x.parameter.transpose(first, second), x.count)
    return view_of(x, lambda s: s.transpose(_inner(first), _inner(second)))


def _expand(x: Any, size: Sequence[int], *, implicit: bool = False) -> Pair:
    if len(size) != _pair(x).dim():
        raise UnsupportedError("expand to more dimensions")
    return view_of(x, lambda s: s.expand(len(s), *size))


def _permute(x: Any, dims: Sequence[int]) -> Pair:
    rank = _pair(x).dim()
    return view_of(x, lambda s: s.permute(0, *(d % rank + 1 for d in dims)))


def concatenation(pairs: Sequence[Any], dim: int = 0) -> Pair:
    """As aten.cat."""
    depth = _pair(pairs[0]).depth
    if any(_pair(pair).depth != depth for pair in pairs):
        return Pair(torch.cat([pair.both() for pair in pairs], _inner(dim)), pairs[0].scale, None)
    return pairs[0].with_stacked(torch.cat([pair.stacked for pair in pairs], _inner(dim)))  # type: ignore[no-any-return]


def _pad(x: Any, amounts: Sequence[int], value: float = 0) -> Pair:
    if value != 0:
        raise UnsupportedError("padding other than by zeros")
    return _pair(x).with_stacked(aten.constant_pad_nd(x.stacked, amounts, 0))


def _clone(x: Any, *, memory_format: torch.memory_format = torch.preserve_format) -> Pair:
    if memory_format not in (torch.preserve_format, torch.contiguous_format):
        raise UnsupportedError(f"clone to {memory_format}")
    return _pair(x).with_stacked(x.stacked.clone(memory_format=memory_format))


RULES.update(
    {
        aten.convolution.default: convolution,
        aten.mm.default: product,
        aten.addmm.default: lambda bias, x, weight: plus_constant(product(x, weight), bias),
        aten.add.Tensor: add,
        aten.add_.Tensor: lambda x, other: _pair(x).replace(add(x, other)),
        aten.mul.Tensor: lambda x, factor: _pair(x).with_stacked(x.stacked * _factor(factor)),
        aten.div.Tensor: lambda x, divisor: _pair(x).with_stacked(x.stacked / _factor(divisor)),
        aten.relu.default: lambda x: _pair(x).with_stacked(x.stacked),
        aten.relu_.default: _pair,
        aten.max_pool2d_with_indices.default: max_pool2d,
        aten.max_pool3d_with_indices.default: _max_pool(aten.max_pool3d_with_indices, 3),
        aten.adaptive_max_pool2d.default: _max_pool(aten.adaptive_max_pool2d, 2),
        aten.avg_pool2d.default: average_pool2d,
        aten.avg_pool3d.default: _pooling(aten.avg_pool3d),
        aten._adaptive_avg_pool2d.default: _pooling(aten._adaptive_avg_pool2d),
        aten._adaptive_avg_pool3d.default: _pooling(aten._adaptive_avg_pool3d),
        aten.mean.dim: mean,
        aten.sum.dim_IntList: _reduction(aten.sum),
        aten.mean.default: mean,
        aten.sum.default: _reduction(aten.sum),
        aten.cat.default: concatenation,
        aten.constant_pad_nd.default: _pad,
        aten.clone.default: _clone,
        aten.zeros_like.default: lambda x, **options: _pair(x).with_stacked(torch.zeros_like(x.stacked, **options)),
        aten.view.default: lambda x, size: view_of(x, lambda s: s.view(len(s), *size)),
        aten._unsafe_view.default: lambda x, size: _pair(x).with_stacked(x.stacked.view(len(x.stacked), *size)),
        aten.expand.default: _expand,
        aten.permute.default: _permute,
        aten.transpose.int: transposed,
        aten.t.default: lambda x: transposed(x, 0, 1),
        aten.unsqueeze.default: lambda x, dim: view_of(x, lambda s: s.unsqueeze(_inner(dim))),
        aten.squeeze.dim: lambda x, dim: view_of(x, lambda s: s.squeeze(_inner(dim))),
        aten.alias.default: lambda x: view_of(x, lambda s: s),  # a slice of everything
        aten.slice.Tensor: lambda x, dim=0, *bounds: view_of(x, lambda s: aten.slice(s, _inner(dim), *bounds)),
        aten.select.int: lambda x, dim, index: view_of(x, lambda s: s.select(_inner(dim), index)),
        aten.split.Tensor: lambda x, size, dim=0: _views_of(x, lambda s: torch.split(s, size, _inner(dim))),
        aten.split_with_sizes.default: lambda x, sizes, dim=0: _views_of(
            x, lambda s: torch.split(s, sizes, _inner(dim))
        ),
    }
)


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
