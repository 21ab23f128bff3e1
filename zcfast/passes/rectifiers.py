"""Activations that switch at zero, and pools: torch's functions, whoever calls them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from zcfast.passes.failures import ProxyError
from zcfast.passes.unseen import Watching
from zcfast.torch_internals import is_view, outside_modes

# Modules call these functions too. What they call inside is behind the mode, so that each counts once.
_RECTIFIERS = frozenset(
    {
        *(F.relu, F.relu_, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_, F.relu6),
        *(F.leaky_relu, F.leaky_relu_, F.rrelu, F.rrelu_, F.prelu, torch.prelu, Tensor.prelu),
        *(F.elu, F.elu_, F.selu, F.selu_, torch.selu, torch.selu_, F.celu, F.celu_, torch.celu, torch.celu_),
        *(F.gelu, F.silu, F.mish, F.hardswish),
    }
)
_NAMES = [
    f"{kind}_pool{dimensions}d{end}"
    for kind in ("max", "avg", "adaptive_max", "adaptive_avg", "lp", "fractional_max")
    for dimensions in (1, 2, 3)
    for end in ("", "_with_indices")
]
POOLS = frozenset(getattr(place, name) for place in (F, torch) for name in _NAMES if hasattr(place, name))
_CLAMPS = frozenset({F.hardtanh, F.hardtanh_})  # nn.ReLU6 is one from 0 on


@dataclass(frozen=True)
class RectifierCall:
    """One call of a rectifier.

    Attributes:
        input: what it got; of one in place, its output by now.
        output: what it gave.
        hidden: whether it wrote to a view in place, in whose graph it then does not show.
    """

    input: Tensor
    output: Tensor
    hidden: bool

    @cached_property
    def above(self) -> Tensor:
        """[N, places] float32: 1 where the output is above 0, else 0.

        Raises:
            ProxyError: the output is not a number.
        """
        if self.output.detach().sum().isnan():
            raise ProxyError("undefined", "the output of an activation is not a number")
        return as_rows(self.output.detach() > 0).to(torch.float32)


def as_rows(maps: Tensor) -> Tensor:
    """[N, places] of [N, ...], the places in the order of memory: the same for all samples."""
    innermost = maps.dim() == 4 and not maps.is_contiguous()
    return (maps.permute(0, 2, 3, 1) if innermost else maps).reshape(len(maps), -1)


class SeeRectifiers(Watching):
    """Shows each call of a rectifier.

    ReLU and its relatives, GELU, SiLU, Mish and Hardswish; not what a net makes of other functions, such as
    x * sigmoid(x), nor what bounds its input on both sides.
    """

    matters = ("elu", "silu", "mish", "hardswish", "hardtanh")  # as in aten::relu, aten::gelu, aten::_prelu_kernel

    def __init__(self, see: Callable[[RectifierCall], None]) -> None:
        """`see` gets each call; it must not change its tensors."""
        super().__init__()
        self._see = see

    def __torch_function__(self, func: Any, types: Iterable[type], args: Any = (), kwargs: Any = None) -> Any:
        """Call a function, and show the call."""
        kwargs = kwargs or {}
        if not (func in _RECTIFIERS or (func in _CLAMPS and _begins_at_zero(*args[1:2], **kwargs))):
            return func(*args, **kwargs)
        received = args[0] if args else kwargs["input"]
        with outside_modes():
            view = is_view(received)
        result = func(*args, **kwargs)
        self._see(RectifierCall(received, result, view and result is received))
        return result


def _begins_at_zero(min_val: float = -1.0, **_: Any) -> bool:
    return min_val == 0
