"""How large the inputs of BatchNorms are, which their outputs do not show."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from zcfast.torch_internals import AnyBatchNorm, outside_modes, outside_transforms

_LINEAR = 0.1  # of the root of a BatchNorm's eps: it passes on the scale of smaller inputs


class Scale(NamedTuple):
    """The root mean square of one sample at a BatchNorm, and the size below which its output shows the scale too."""

    size: float
    shown: float


def equal_scales(first: Sequence[Scale], again: Sequence[Scale], rounding: float) -> bool:
    """Whether two passes have given all BatchNorms the same, to a relative error; NaN and infinity equal all."""
    pairs = zip(first, again, strict=False)
    return len(first) == len(again) and not any(
        abs(a.size - b.size) > rounding * max(a.size, b.size) + a.shown for a, b in pairs
    )


@contextmanager
def hidden_scales(modules: Sequence[nn.Module]) -> Iterator[list[Scale]]:
    """Note what each BatchNorm among the modules gets, in order of execution, on a list.

    What multiplies such an input leaves the logits as they are, and moves synflow, which removes the BatchNorm.
    """
    found: list[Scale] = []

    def note(module: nn.Module, args: tuple[Any, ...]) -> None:
        x = args[0] if args else None
        if not isinstance(x, Tensor) or outside_transforms(x) is not x or not x.numel():
            return
        with outside_modes(), torch.no_grad():
            sample = forward_ad.unpack_dual(x).primal[0]  # type: ignore[no-untyped-call]
            size = torch.linalg.vector_norm(sample).item() / sample.numel() ** 0.5
            assert isinstance(module, AnyBatchNorm)
            found.append(Scale(size, _LINEAR * module.eps**0.5))

    with ExitStack() as stack:
        for module in modules:
            if isinstance(module, AnyBatchNorm):
                stack.enter_context(module.register_forward_pre_hook(note))
        yield found
