"""The functions of torch that convolutional nets call, on pairs, by their rules at once.

The way through torch's dispatcher to the same rules takes longer than most operations on one sample, and imports 800
modules the first time. What is not in this table, or is called in another form, takes that way.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from zcfast.tracing import pair_rules
from zcfast.tracing.batchnorm import ReplacedBatchNorm
from zcfast.tracing.pairs import Pair


class PairFunctions(ReplacedBatchNorm):
    """Calls the rules of this table, and `replace(input)` in place of every batch normalisation."""

    def __torch_function__(
        self, func: Any, types: Iterable[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Apply the rule if there is one for this form, pass everything else on."""
        rule = _FUNCTIONS.get(func)
        if rule is not None and args and torch.is_grad_enabled():
            first = args[0][0] if isinstance(args[0], (list, tuple)) and args[0] else args[0]
            if isinstance(first, Pair):
                with torch._C.DisableTorchFunction():  # what a rule calls is not the net's
                    result = rule(*args, **(kwargs or {}))
                if result is not NotImplemented:
                    return result
        return super().__torch_function__(func, types, args, kwargs)


def _two(value: Any) -> tuple[int, ...]:
    return (value, value) if isinstance(value, int) else tuple(value)


def _conv2d(
    x: Pair,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Any:
    if x.dim() != 4 or isinstance(padding, str):
        return NotImplemented
    return pair_rules.convolution(x, weight, bias, _two(stride), _two(padding), _two(dilation), False, (0, 0), groups)


def _avg_pool2d(
    x: Pair,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Any:
    if x.dim() != 4:
        return NotImplemented
    size = _two(kernel_size)
    steps = _two(stride) if stride else size
    return pair_rules.average_pool2d(x, size, steps, _two(padding), ceil_mode, count_include_pad, divisor_override)


def _max_pool2d(
    x: Pair,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    if x.dim() != 4 or return_indices:
        return NotImplemented
    size = _two(kernel_size)
    steps = _two(stride) if stride else size
    return pair_rules.max_pool2d(x, size, steps, _two(padding), _two(dilation), ceil_mode)[0]


def _adaptive_avg_pool2d(x: Pair, output_size: Any) -> Any:
    return pair_rules.mean(x, (-2, -1), True) if output_size in (1, (1, 1)) and x.dim() == 4 else NotImplemented


def _linear(x: Pair, weight: Tensor, bias: Tensor | None = None) -> Any:
    if x.dim() != 2 or weight.dim() != 2:
        return NotImplemented
    result = pair_rules.product(x, pair_rules.transposed(weight, 0, 1))
    return result if bias is None else pair_rules.plus_constant(result, bias)


def _add(x: Pair, other: Any, **options: Any) -> Any:
    return NotImplemented if options else pair_rules.add(x, other)


def _add_in_place(x: Pair, other: Any, **options: Any) -> Any:
    return NotImplemented if options else x.replace(pair_rules.add(x, other))


def _relu(x: Pair, inplace: bool = False) -> Pair:
    return x if inplace else x.with_stacked(x.stacked)


def _mean(x: Pair, dim: Any = None, keepdim: bool = False, **options: Any) -> Any:
    return (
        NotImplemented
        if options or dim is None
        else pair_rules.mean(x, (dim,) if isinstance(dim, int) else dim, keepdim)
    )


def _view(x: Pair, *size: Any) -> Any:
    sizes = size[0] if len(size) == 1 and isinstance(size[0], (tuple, list)) else size
    if not all(isinstance(each, int) for each in sizes):
        return NotImplemented
    return pair_rules.view_of(x, lambda stacked: stacked.view(len(stacked), *sizes))


def _dropout(x: Pair, p: float = 0.5, training: bool = True, inplace: bool = False) -> Pair:
    kept = F.dropout(torch.ones_like(x.stacked[0]), p, training)  # draws the numbers that dropout of the value would
    result = x.with_stacked(x.stacked * kept)
    return x.replace(result) if inplace else result


def _flatten(x: Pair, start_dim: int = 0, end_dim: int = -1) -> Any:
    if start_dim != 1 or end_dim != -1 or not x.stacked.is_contiguous():
        return NotImplemented
    return pair_rules.view_of(x, lambda stacked: stacked.flatten(2))


def _getitem(x: Pair, index: Any) -> Any:
    index = index if isinstance(index, tuple) else (index,)
    if not all(isinstance(each, slice) for each in index):
        return NotImplemented
    return pair_rules.view_of(x, lambda stacked: stacked[(slice(None), *index)])


_FUNCTIONS: dict[Any, Callable[..., Any]] = {
    torch.conv2d: _conv2d,
    F.relu: _relu,
    torch.relu: _relu,
    Tensor.relu: _relu,
    Tensor.add: _add,
    torch.add: _add,
    Tensor.add_: _add_in_place,
    F.avg_pool2d: _avg_pool2d,
    F.max_pool2d: _max_pool2d,
    F.adaptive_avg_pool2d: _adaptive_avg_pool2d,
    F.linear: _linear,
    F.dropout: _dropout,
    Tensor.mean: _mean,
    torch.mean: _mean,
    Tensor.view: _view,
    Tensor.flatten: _flatten,
    torch.flatten: _flatten,
    Tensor.__getitem__: _getitem,
    torch.cat: pair_rules.concatenation,
}
