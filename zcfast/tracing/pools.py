"""Pools of synflow's float64 maps: torch's are slow on maps that lie as a net has them."""

from collections.abc import Sequence

import torch
from torch import Tensor

import zcfast._native  # noqa: F401  registers torch.ops.zcfast


def innermost(x: Tensor) -> Tensor:
    """A tensor with its channels innermost, where pools of 64-bit numbers run several times faster."""
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    return x.contiguous(memory_format=formats[x.dim()]) if x.dim() in formats else x


def avg_pool2d(
    x: Tensor,
    size: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0, 0),
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor: int | None = None,
) -> Tensor:
    """aten.avg_pool2d of float64; windows that move by one position by the operator of this package."""
    if tuple(stride) != (1, 1) or divisor is not None or x.dim() != 4 or x.device.type != "cpu":
        settings = (size, stride, padding, ceil_mode, count_include_pad, divisor)
        result: Tensor = torch.ops.aten.avg_pool2d(innermost(x), *settings).contiguous()
        return result
    return torch.ops.zcfast.average_pool(x, *size, *padding, count_include_pad)  # type: ignore[no-any-return]


def _average_pool_fake(
    x: Tensor, height: int, width: int, pad_height: int, pad_width: int, count_include_pad: bool
) -> Tensor:
    out_height, out_width = x.shape[2] + 2 * pad_height - height + 1, x.shape[3] + 2 * pad_width - width + 1
    return x.new_empty(x.shape[0], x.shape[1], out_height, out_width)


torch.library.register_fake("zcfast::average_pool", _average_pool_fake)
