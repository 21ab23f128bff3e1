"""Pairs (value, tangent) that flow through a net of non-negative weights in one forward pass.

A pair is a tensor subclass, so the rule holds for whatever function the net calls, in a module or not: a function that
is not in the table of rules, or an argument that could make a value negative, raises UnsupportedError, and the caller
takes the backward pass. Every value being a sum of non-negative terms, ReLU is the identity, the tangent is zero
wherever the value is, and the output is homogeneous of degree one in (input, all additive constants).

Where every path from the input has passed as many counted weights, the tangent is that many times the value, and no
operation is done on it: up to the first sum of two depths a net costs a forward pass of the values alone.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from zcfast.passes.flow.batchnorm import ReplacedBatchNorm, is_batch_norm
from zcfast.passes.opaque import Opaque, UnsupportedError
from zcfast.torch_internals import wrapper_of

RULES: dict[Any, Callable[..., Any]] = {}  # of torch's functions on pairs; pair_rules.py has them
# What tells a tensor's form, not its numbers.
_FORM = frozenset(
    {
        *(Tensor.size, Tensor.dim, Tensor.ndimension, Tensor.numel, Tensor.nelement, Tensor.__len__),
        *(Tensor.is_contiguous, Tensor.is_floating_point, torch.is_floating_point, torch.is_tensor),
        *(getattr(Tensor, name).__get__ for name in ("shape", "dtype", "device", "ndim", "layout", "is_cuda")),
    }
)


class CountedWeight(Opaque):
    """The absolute values of a parameter, float64, with the tangent `count` times themselves.

    They are made where they are used, so that a net's weights are never all in memory as float64.
    """

    parameter: Tensor
    count: int

    @staticmethod
    def __new__(cls, parameter: Tensor, count: int) -> "CountedWeight":
        """Wrap a parameter."""
        result = wrapper_of(cls, parameter)
        result.parameter, result.count = parameter, count
        return result

    @property
    def weight(self) -> Tensor:
        """The absolute values."""
        return self.parameter.abs().double()


class Pair(Opaque):
    """A value and its tangent, where the net sees one tensor.

    Attributes:
        value: what the net would have without pairs.
        moved: the tangent, where it is not a multiple of the value.
        depth: how many counted weights every path from the input has passed, so that the tangent is this many times the
            value; None where paths differ.
        scale: what the input and all additive constants are multiplied by.
        has_views: whether another pair was made as a view of this one or this one as a view of another. In-place
            operations replace the value, which views would not see, and are refused for these.
    """

    value: Tensor
    moved: Tensor | None
    depth: int | None
    scale: float
    has_views: bool

    @staticmethod
    def __new__(cls, value: Tensor, moved: Tensor | None, depth: int | None, scale: float) -> "Pair":
        """Wrap a value and its tangent; one of `moved` and `depth` is given."""
        if value.dtype != torch.float64:
            raise UnsupportedError("a cast")
        result = wrapper_of(cls, value)
        result.value, result.moved, result.depth, result.scale = value, moved, depth, scale
        result.has_views = False
        return result

    @property
    def requires_grad(self) -> bool:  # type: ignore[override]  # not to be written either
        """Not to be asked: hooks, for one, depend on it, and the answer would not be that of a backward pass."""
        raise UnsupportedError("the net asks whether a tensor requires a gradient")

    @property
    def grad_fn(self) -> None:  # type: ignore[override]
        """Like requires_grad."""
        raise UnsupportedError("the net asks for a node of the graph")

    @property
    def tangent(self) -> Tensor:
        """Of the shape of the value."""
        if self.moved is not None:
            return self.moved
        assert self.depth is not None
        return self.depth * self.value

    def like(self, value: Tensor, moved: Tensor | None) -> "Pair":
        """A pair of the same depth and scale."""
        return Pair(value, moved, self.depth, self.scale)

    def copy(self) -> "Pair":
        """The same numbers in a pair that in-place operations may change."""
        return self.like(self.value, self.moved)

    def replace(self, new: "Pair") -> "Pair":
        """Take the content of another pair, as in-place operations do."""
        if self.has_views or new.shape != self.shape:
            raise UnsupportedError("in-place operation on a view or to another shape")
        self.value, self.moved, self.depth = new.value, new.moved, new.depth
        return self


class PairRules(ReplacedBatchNorm):
    """Calls the rules on pairs, and `replace(input)` in place of every batch normalisation.

    The rules are those of functions, not of the operators behind them: torch's dispatcher would import 500 modules the
    first time, which takes longer than the networks of a search space do.
    """

    def __torch_function__(
        self, func: Any, types: Iterable[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Apply the rule where there is a pair, pass everything else on."""
        kwargs = kwargs or {}
        if func in _FORM or is_batch_norm(func) or (not holds_opaque(args) and not holds_opaque(kwargs.values())):
            return super().__torch_function__(func, types, args, kwargs)
        if not torch.is_grad_enabled():
            raise UnsupportedError(f"{func} under no_grad, where a backward pass has no derivative")
        if func not in RULES:
            raise UnsupportedError(f"no rule for {func}")
        return RULES[func](*args, **kwargs)


def holds_opaque(values: Iterable[Any]) -> bool:
    """Whether there is a pair or a counted weight among the arguments of a function, or in a list among them."""
    for value in values:
        if isinstance(value, Opaque) or (isinstance(value, (tuple, list)) and holds_opaque(value)):
            return True
    return False
