"""Tensors whose numbers a net does not see."""

from typing import Any

import torch

from zcfast.torch_internals import RULES_BY_DISPATCH_ONLY


class UnsupportedError(Exception):
    """The net does something that has no rule for such tensors, or in such a pass."""


class Opaque(torch.Tensor):
    """A tensor of which the net sees the form, and the rules alone the numbers."""

    __torch_function__ = RULES_BY_DISPATCH_ONLY

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]  # torch annotates its default by another function
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Refuse what reached an operator on another way than by a function that has a rule."""
        raise UnsupportedError(f"no rule for {func}")
