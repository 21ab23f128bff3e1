"""Pairs (value, tangent) that flow through a net of non-negative weights in one forward pass.

A pair is a tensor subclass, so the rule holds for whatever operation the net calls, in a module or not: an operation
that is not in the table of rules, or an argument that could make a value negative, raises UnsupportedError, and the
caller takes a slower way. Every value being a sum of non-negative terms, ReLU is the identity, the tangent is zero
wherever the value is, and the output is homogeneous of degree one in (input, all additive constants).

Where every path from the input has passed as many counted weights, the tangent is that many times the value, and no
operation is done on it: up to the first sum of two depths a net costs a forward pass of the values alone.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

RULES: dict[Any, Callable[..., Any]] = {}  # of torch's operators on pairs; pair_rules.py has them


class UnsupportedError(Exception):
    """The net does something that has no rule for pairs."""


class Tracked(torch.Tensor):
    """A tensor that hands every operation on it to its rule."""

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]  # torch annotates its default by another function
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Look the operation up in the table."""
        rule = RULES.get(func)
        if rule is None:
            raise UnsupportedError(f"no rule for {func}")
        if not torch.is_grad_enabled():
            raise UnsupportedError(f"{func} under no_grad, where reverse mode has no derivative")
        with torch._C.DisableTorchFunction():  # what a rule calls is not the net's
            return rule(*args, **(kwargs or {}))


class CountedWeight(Tracked):
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


class Pair(Tracked):
    """A value and its tangent in one tensor, where the net sees one tensor of `shape`.

    Attributes:
        depth: how many counted weights every path from the input has passed, so that the tangent is this many times the
            value; None where paths differ.
        stacked: [1, *shape], the value, where the depth is known; else [2, *shape], the value, then the tangent.
        scale: what the input and all additive constants are multiplied by.
        has_views: whether another pair was made as a view of this one or this one as a view of another. In-place
            operations replace `stacked`, which views would not see, and are refused for these.
    """

    stacked: Tensor
    scale: float
    depth: int | None
    has_views: bool

    @staticmethod
    def __new__(cls, stacked: Tensor, scale: float, depth: int | None) -> "Pair":
        """Wrap a stacked tensor."""
        result = torch.Tensor._make_wrapper_subclass(
            cls, stacked.shape[1:], strides=stacked.stride()[1:], dtype=stacked.dtype, device=stacked.device
        )
        result.stacked, result.scale, result.depth, result.has_views = stacked, scale, depth, False
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
        return cls((scale * value)[None], scale, 0)

    def with_stacked(self, stacked: Tensor) -> "Pair":
        """A pair of the same scale and depth."""
        return Pair(stacked, self.scale, self.depth)

    def both(self) -> Tensor:
        """The value, then the tangent, [2, *shape]."""
        if self.depth is None:
            return self.stacked
        return torch.cat([self.stacked, self.depth * self.stacked])

    def tangent(self) -> Tensor:
        """Of the shape that the net sees."""
        return self.stacked[1] if self.depth is None else self.depth * self.stacked[0]

    def merged(self) -> Tensor:
        """The pair as one batch, of twice the size if it has both parts, for operations that treat samples alike."""
        return self.stacked.flatten(0, 1)

    def unmerged(self, merged: Tensor) -> "Pair":
        """Undo `merged` on the result of such an operation."""
        return self.with_stacked(merged.view(len(self.stacked), -1, *merged.shape[1:]))

    def replace(self, new: "Pair") -> "Pair":
        """Take the content of another pair, as in-place operations do."""
        if self.has_views or new.shape != self.shape:
            raise UnsupportedError("in-place operation on a view or to another shape")
        self.stacked, self.depth = new.stacked, new.depth
        return self
