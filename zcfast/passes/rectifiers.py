"""Activations that switch at zero: torch's functions, whoever calls them."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from torch.overrides import TorchFunctionMode

# Modules call these functions too. What they call inside is behind the mode, so that each counts once.
_RECTIFIERS = frozenset(
    {
        *(F.relu, F.relu_, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_, F.relu6),
        *(F.leaky_relu, F.leaky_relu_, F.rrelu, F.rrelu_, F.prelu, torch.prelu, Tensor.prelu),
        *(F.elu, F.elu_, F.selu, F.selu_, torch.selu, torch.selu_, F.celu, F.celu_, torch.celu, torch.celu_),
        *(F.gelu, F.silu, F.mish, F.hardswish),
    }
)
_CLAMPS = frozenset({F.hardtanh, F.hardtanh_})  # nn.ReLU6 is one from 0 on


class SeeRectifiers(TorchFunctionMode):
    """Shows the output of each call of a rectifier.

    ReLU and its relatives, GELU, SiLU, Mish and Hardswish; not what a net makes of other functions, such as
    x * sigmoid(x), nor what bounds its input on both sides.
    """

    def __init__(self, see: Callable[[Tensor], None]) -> None:
        """`see` gets each output; it must not change it."""
        super().__init__()
        self._see = see

    def __torch_function__(self, func: Any, types: Iterable[type], args: Any = (), kwargs: Any = None) -> Any:
        """Call a function, and show what it gives."""
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if func in _RECTIFIERS or (func in _CLAMPS and _begins_at_zero(*args[1:2], **kwargs)):
            self._see(result)
        return result


def _begins_at_zero(min_val: float = -1.0, **_: Any) -> bool:
    return min_val == 0
