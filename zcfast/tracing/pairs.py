"""Pairs (value, tangent) that flow through a net of non-negative weights in one forward pass.

A pair is a tensor subclass, so the rule holds for whatever operation the net calls, in a module or not: an operation
that is not in the table below, or an argument that could make a value negative, raises UnsupportedError, and the caller
takes a slower way. Every value being a sum of non-negative terms, ReLU is the identity, the tangent is zero wherever
the value is, and the output is homogeneous of degree one in (input, all additive constants).
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

import zcfast._native  # noqa: F401  registers torch.ops.zcfast
from zcfast.tracing.pools import avg_pool2d, innermost

aten = torch.ops.aten
_SMALL = 65536  # numbers of a sample: half a mebibyte


class UnsupportedError(Exception):
    """The net does something that has no rule for pairs."""


class _Tracked(torch.Tensor):
    """Hands every operation on it to its rule."""

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]  # torch annotates its default by another function
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Look the operation up in the table."""
        rule = _RULES.get(func)
        if rule is None:
            raise UnsupportedError(f"no rule for {func}")
        if not torch.is_grad_enabled():
            raise UnsupportedError(f"{func} under no_grad, where reverse mode has no derivative")
        with torch._C.DisableTorchFunction():  # what a rule calls is not the net's
            return rule(*args, **(kwargs or {}))


class CountedWeight(_Tracked):
    """The absolute values of a parameter, float64, with the tangent `count` times themselves.

    They are made where they are used, so that a net's weights are never all in memory as float64.
    """

    parameter: Tensor
    count: int

    @staticmethod
    def __new__(cls, parameter: Tensor, count: int) -> "CountedWeight":
        """Wrap a parameter."""
        result = torch.Tensor._make_wrapper_subclass(
            cls, parameter.shape, strides=parameter.stride(), dtype=torch.float64, device=parameter.device
        )
        result.parameter, result.count = parameter, count
        return result

    @property
    def weight(self) -> Tensor:
        """The absolute values."""
        return self.parameter.abs().double()


class Pair(_Tracked):
    """A value and its tangent, [2, *shape] in one tensor, where the net sees one tensor of `shape`.

    Attributes:
        stacked: the value, then the tangent.
        scale: what the input and all additive constants are multiplied by.
        has_views: whether another pair was made as a view of this one or this one as a view of another. In-place
            operations replace `stacked`, which views would not see, and are refused for these.
    """

    stacked: Tensor
    scale: float
    has_views: bool

    @staticmethod
    def __new__(cls, stacked: Tensor, scale: float) -> "Pair":
        """Wrap a stacked tensor."""
        result = torch.Tensor._make_wrapper_subclass(
            cls, stacked.shape[1:], strides=stacked.stride()[1:], dtype=stacked.dtype, device=stacked.device
        )
        result.stacked, result.scale, result.has_views = stacked, scale, False
        return result

    @property
    def requires_grad(self) -> bool:  # type: ignore[override]  # not to be written either
        """Not to be asked: hooks, for one, depend on it, and the answer would not be that of a backward pass."""
        raise UnsupportedError("the net asks whether a tensor requires a gradient")

    @property
    def grad_fn(self) -> None:  # type: ignore[override]
        """Like requires_grad."""
        raise UnsupportedError("the net asks for a node of the graph")

    @classmethod
    def constant(cls, value: Tensor, scale: float) -> "Pair":
        """The pair of a non-negative constant, scaled."""
        return cls(torch.stack([scale * value, torch.zeros_like(value)]), scale)

    def with_stacked(self, stacked: Tensor) -> "Pair":
        """A pair of the same scale."""
        return Pair(stacked, self.scale)

    def merged(self) -> Tensor:
        """The pair as one batch of twice the size, for operations that treat samples alike."""
        return self.stacked.flatten(0, 1)

    def unmerged(self, merged: Tensor) -> "Pair":
        """Undo `merged` on the result of such an operation."""
        return self.with_stacked(merged.view(2, -1, *merged.shape[1:]))

    def replace(self, stacked: Tensor) -> "Pair":
        """Take a new content, as in-place operations do."""
        if self.has_views or stacked.shape != self.stacked.shape:
            raise UnsupportedError("in-place operation on a view or to another shape")
        self.stacked = stacked
        return self


def _pair(x: Any) -> Pair:
    if not isinstance(x, Pair):
        raise UnsupportedError(f"expected a pair, got {type(x).__name__}")
    return x


def _inner(dim: int) -> int:
    """A dimension of the pair's shape as a dimension of the stacked tensor."""
    return dim + 1 if dim >= 0 else dim


def _constant(x: Any) -> Tensor:
    if not isinstance(x, Tensor) or isinstance(x, _Tracked):
        raise UnsupportedError(f"expected a constant tensor, got {type(x).__name__}")
    if x.numel() and not bool(x.min() >= 0):
        raise UnsupportedError("negative constant")
    return x


def _weight(x: Any) -> tuple[Tensor, int]:
    return (x.weight, x.count) if isinstance(x, CountedWeight) else (_constant(x), 0)


def _multiplied(x: Pair, stacked: Tensor, count: int, bias: Tensor | None) -> Pair:
    """Finish (value, tangent) -> (W value + b, W tangent + count W value), given W times both."""
    if count:
        stacked[1].add_(stacked[0], alpha=count)
    if bias is not None:
        stacked[0].add_(_constant(bias), alpha=x.scale)
    return x.with_stacked(stacked)


def _convolution(x: Any, weight: Any, bias: Any, *settings: Any) -> Pair:
    x = _pair(x)
    spatial = x.dim() - 2
    bias = None if bias is None else bias.reshape(-1, *[1] * spatial)
    if _suits_operator(x, weight, *settings):
        plain, count = (weight.parameter, weight.count) if isinstance(weight, CountedWeight) else (_constant(weight), 0)
        return _multiplied(x, torch.ops.zcfast.flow_convolution(x.stacked, plain, count, *settings[1]), 0, bias)
    plain, count = _weight(weight)
    stacked = aten.convolution.default(x.merged(), plain, None, *settings).unflatten(0, (2, -1))
    return _multiplied(x, stacked, count, bias)


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

    Large samples by 1 x 1 are a product of matrices, at which torch is as fast.
    """
    if x.dim() != 4 or x.device.type != "cpu" or x.dtype != torch.float64 or transposed or groups != 1:
        return False
    if tuple(stride) != (1, 1) or tuple(dilation) != (1, 1):
        return False
    return weight.shape[2:].numel() > 1 or x.shape[1:].numel() <= _SMALL


def _mm(x: Any, weight: Any) -> Pair:
    x, (plain, count) = _pair(x), _weight(weight)
    return _multiplied(x, x.stacked @ plain, count, None)


def _addmm(bias: Any, x: Any, weight: Any) -> Pair:
    x, (plain, count) = _pair(x), _weight(weight)
    return _multiplied(x, x.stacked @ plain, count, bias)


def _add(x: Any, other: Any) -> Tensor:
    x, other = (x, other) if isinstance(x, Pair) else (other, x)
    pair = _pair(x)
    if isinstance(other, Pair):
        if other.dim() != pair.dim():
            raise UnsupportedError("sum of pairs of different dimensions")
        return pair.stacked + other.stacked
    if isinstance(other, (int, float)):
        if other == 0:  # where sum() starts
            return pair.stacked
        other = torch.tensor(other, dtype=pair.dtype, device=pair.device)
    value = pair.stacked[0] + pair.scale * _constant(other)
    if value.shape != pair.shape:
        raise UnsupportedError("sum with a constant of more dimensions")
    return torch.stack([value, pair.stacked[1]])


def _factor(factor: Any) -> float:
    if isinstance(factor, (int, float)) and factor >= 0:
        return float(factor)
    raise UnsupportedError("product other than with a non-negative number")


def _max_pool(operation: Any, spatial: int) -> Callable[..., Any]:
    def rule(x: Any, *settings: Any) -> Any:
        value, indices = operation(innermost(_pair(x).stacked[0]), *settings)
        value, indices = value.contiguous(), indices.contiguous()
        tangent = x.stacked[1].flatten(-spatial).gather(-1, indices.flatten(-spatial)).view_as(value)
        return x.with_stacked(torch.stack([value, tangent])), indices

    return rule


def _pooling(operation: Any) -> Callable[..., Any]:
    return lambda x, *settings: _pair(x).unmerged(operation(innermost(x.merged()), *settings).contiguous())


def _reduction(operation: Any) -> Callable[..., Any]:
    def rule(x: Any, dim: Sequence[int] | None = None, keepdim: bool = False) -> Pair:
        dims = [_inner(d) for d in dim] if dim else list(range(1, _pair(x).stacked.dim()))
        return x.with_stacked(operation(x.stacked, dims, keepdim))  # type: ignore[no-any-return]

    return rule


def _view_of(x: Any, view: Callable[[Tensor], Tensor]) -> Pair:
    result = _pair(x).with_stacked(view(x.stacked))
    x.has_views = result.has_views = True
    return result


def _views_of(x: Any, views: Callable[[Tensor], Sequence[Tensor]]) -> list[Pair]:
    results = [_pair(x).with_stacked(view) for view in views(x.stacked)]
    for pair in (x, *results):
        pair.has_views = True
    return results


def _transpose(x: Any, first: int, second: int) -> Tensor:
    if isinstance(x, CountedWeight):
        return CountedWeight(x.parameter.transpose(first, second), x.count)
    return _view_of(x, lambda s: s.transpose(_inner(first), _inner(second)))


def _expand(x: Any, size: Sequence[int], *, implicit: bool = False) -> Pair:
    if len(size) != _pair(x).dim():
        raise UnsupportedError("expand to more dimensions")
    return _view_of(x, lambda s: s.expand(2, *size))


def _permute(x: Any, dims: Sequence[int]) -> Pair:
    rank = _pair(x).dim()
    return _view_of(x, lambda s: s.permute(0, *(d % rank + 1 for d in dims)))


def _cat(pairs: Sequence[Any], dim: int = 0) -> Pair:
    return _pair(pairs[0]).with_stacked(torch.cat([_pair(pair).stacked for pair in pairs], _inner(dim)))


def _pad(x: Any, amounts: Sequence[int], value: float = 0) -> Pair:
    if value != 0:
        raise UnsupportedError("padding other than by zeros")
    return _pair(x).with_stacked(aten.constant_pad_nd(x.stacked, amounts, 0))


def _clone(x: Any, *, memory_format: torch.memory_format = torch.preserve_format) -> Pair:
    if memory_format not in (torch.preserve_format, torch.contiguous_format):
        raise UnsupportedError(f"clone to {memory_format}")
    return _pair(x).with_stacked(x.stacked.clone(memory_format=memory_format))


_RULES: dict[Any, Callable[..., Any]] = {
    aten.convolution.default: _convolution,
    aten.mm.default: _mm,
    aten.addmm.default: _addmm,
    aten.add.Tensor: lambda x, other: _pair(x if isinstance(x, Pair) else other).with_stacked(_add(x, other)),
    aten.add_.Tensor: lambda x, other: _pair(x).replace(_add(x, other)),
    aten.mul.Tensor: lambda x, factor: _pair(x).with_stacked(x.stacked * _factor(factor)),
    aten.div.Tensor: lambda x, divisor: _pair(x).with_stacked(x.stacked / _factor(divisor)),
    aten.relu.default: lambda x: _pair(x).with_stacked(x.stacked),
    aten.relu_.default: _pair,
    aten.max_pool2d_with_indices.default: _max_pool(aten.max_pool2d_with_indices, 2),
    aten.max_pool3d_with_indices.default: _max_pool(aten.max_pool3d_with_indices, 3),
    aten.adaptive_max_pool2d.default: _max_pool(aten.adaptive_max_pool2d, 2),
    aten.avg_pool2d.default: lambda x, *settings: _pair(x).unmerged(avg_pool2d(x.merged(), *settings)),
    aten.avg_pool3d.default: _pooling(aten.avg_pool3d),
    aten._adaptive_avg_pool2d.default: _pooling(aten._adaptive_avg_pool2d),
    aten._adaptive_avg_pool3d.default: _pooling(aten._adaptive_avg_pool3d),
    aten.mean.dim: _reduction(aten.mean),
    aten.sum.dim_IntList: _reduction(aten.sum),
    aten.mean.default: _reduction(aten.mean),
    aten.sum.default: _reduction(aten.sum),
    aten.cat.default: _cat,
    aten.constant_pad_nd.default: _pad,
    aten.clone.default: _clone,
    aten.zeros_like.default: lambda x, **options: _pair(x).with_stacked(torch.zeros_like(x.stacked, **options)),
    aten.view.default: lambda x, size: _view_of(x, lambda s: s.view(2, *size)),
    aten._unsafe_view.default: lambda x, size: _pair(x).with_stacked(x.stacked.view(2, *size)),
    aten.expand.default: _expand,
    aten.permute.default: _permute,
    aten.transpose.int: _transpose,
    aten.t.default: lambda x: _transpose(x, 0, 1),
    aten.unsqueeze.default: lambda x, dim: _view_of(x, lambda s: s.unsqueeze(_inner(dim))),
    aten.squeeze.dim: lambda x, dim: _view_of(x, lambda s: s.squeeze(_inner(dim))),
    aten.alias.default: lambda x: _view_of(x, lambda s: s),  # a slice of everything
    aten.slice.Tensor: lambda x, dim=0, *bounds: _view_of(x, lambda s: aten.slice(s, _inner(dim), *bounds)),
    aten.select.int: lambda x, dim, index: _view_of(x, lambda s: s.select(_inner(dim), index)),
    aten.split.Tensor: lambda x, size, dim=0: _views_of(x, lambda s: torch.split(s, size, _inner(dim))),
    aten.split_with_sizes.default: lambda x, sizes, dim=0: _views_of(x, lambda s: torch.split(s, sizes, _inner(dim))),
}


def _flow_convolution_fake(stacked: Tensor, weight: Tensor, count: int, pad_height: int, pad_width: int) -> Tensor:
    height = stacked.shape[3] + 2 * pad_height - weight.shape[2] + 1
    width = stacked.shape[4] + 2 * pad_width - weight.shape[3] + 1
    return stacked.new_empty(2, stacked.shape[1], weight.shape[0], height, width)


torch.library.register_fake("zcfast::flow_convolution", _flow_convolution_fake)
