"""BatchNorm seen at the function it calls, so that subclasses and functional uses count too."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from zcfast.passes.failures import ProxyError
from zcfast.torch_internals import AnyBatchNorm

_ROUNDING = 64  # eps of the largest value: more than sums in another order move it


class ReplacedBatchNorm(TorchFunctionMode):
    """Calls `replace(input)` in place of every batch normalisation."""

    def __init__(self, replace: Callable[[Tensor], Tensor]) -> None:
        """Take the replacement."""
        super().__init__()
        self.replace = replace

    def __torch_function__(
        self, func: Any, types: Iterable[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Divert batch_norm, pass everything else on."""
        kwargs = kwargs or {}
        if is_batch_norm(func):
            return self.replace(args[0] if args else kwargs["input"])
        return func(*args, **kwargs)


def replace_modules(modules: Sequence[nn.Module], replace: Callable[[Tensor], Tensor]) -> None:
    """Let each BatchNorm module call `replace(input)`, sooner than the mode would (inside `isolated` only)."""
    for child in modules:
        if isinstance(child, AnyBatchNorm) and type(child).forward in (AnyBatchNorm.forward, nn.SyncBatchNorm.forward):
            child.__dict__["forward"] = replace


class KeptBatchNorm(TorchFunctionMode):
    """Refuses batch normalisation by the statistics of one value a channel, whose variance is 0.

    Of maps that are constant, the mean is rounded: their deviation from it is noise, multiplied by up to 1 / sqrt(eps).

    Attributes:
        saw_rounding: whether some input other than zero was constant in every channel, but for rounding errors.
        exact: let such inputs deviate by exactly 0.
    """

    def __init__(self) -> None:
        """Begin with maps as they are."""
        super().__init__()
        self.saw_rounding = self.exact = False

    def __torch_function__(
        self, func: Any, types: Iterable[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Raise ProxyError from batch_norm in training of such an input, pass everything else on."""
        kwargs = kwargs or {}
        if _takes_statistics(func, args, kwargs):
            x = args[0] if args else kwargs["input"]
            if x.numel() == x.shape[1]:
                raise ProxyError("undefined", "a BatchNorm in training mode sees one value a channel of the one sample")
            if _varies_by_rounding(x.detach()):
                self.saw_rounding = True
                if self.exact:
                    zero = x * 0  # and no gradient: times a constant, what is left of one is noise too
                    return func(zero, *args[1:], **kwargs) if args else func(**{**kwargs, "input": zero})
        return func(*args, **kwargs)


def _varies_by_rounding(x: Tensor) -> bool:
    """Whether all channels of [N, C, ...] are constant but for rounding errors, and not all zero."""
    rows = x.transpose(0, 1).flatten(1)
    level = _ROUNDING * torch.finfo(x.dtype).eps * rows.abs().amax(1)
    return bool((rows.std(1, correction=0) <= level).all() and rows.any())


def is_batch_norm(func: Any) -> bool:
    """Whether a function is batch normalisation."""
    return func is F.batch_norm or func is torch.batch_norm


def _takes_statistics(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    return is_batch_norm(func) and bool(kwargs.get("training", args[5] if len(args) > 5 else False))


def run_synchronised_as_plain(modules: Sequence[nn.Module]) -> None:
    """Make each SyncBatchNorm run as BatchNorm on one process, on any device (inside `isolated` only)."""
    for child in modules:
        if isinstance(child, nn.SyncBatchNorm):
            child.__dict__["forward"] = partial(AnyBatchNorm.forward, child)
