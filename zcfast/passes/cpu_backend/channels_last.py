"""Images with the channels innermost, the memory format in which most of a net runs fastest on a CPU.

Six of torch's operations are replaced there. BatchNorm sums such images one position after the other in float32,
which moves the scores of deep nets by up to 5e-5: the operator here sums in float64. An average pool whose windows
overlap is several times slower than the same sums as a convolution with one constant filter a channel. The weight
gradient of a 1 x 1 convolution with a stride and 2 to 7 channels writes beyond its memory (torch 2.13, oneDNN). A
convolution with far more weights than inputs is faster with the channels outermost, where the weights lie as they are.
Dropout and alpha dropout draw their masks in the order of memory, here in that of the contiguous format: so all passes
have the same mask.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from torch.autograd import forward_ad
from torch.autograd.function import once_differentiable

import zcfast._native  # noqa: F401  registers torch.ops.zcfast
from zcfast.passes.blame import Blamed
from zcfast.passes.failures import ProxyError
from zcfast.torch_internals import outside_modes

# A net that reads how its tensors lie in memory might compute something else in another format.
READS_STRIDES = frozenset(
    {
        *(torch.as_strided, Tensor.as_strided, Tensor.as_strided_, Tensor.stride, Tensor.data_ptr),
        *(Tensor.is_contiguous, Tensor.dim_order, Tensor.storage_offset),
        *(Tensor.untyped_storage, Tensor.storage, Tensor.set_, Tensor.resize_, Tensor.numpy),
    }
)

_FEW_CHANNELS = 7
_MANY_WEIGHTS = 8  # for each input; measured with 3 x 3 to 7 x 7 filters, 1 x 1 ones need no other order


def suits(inputs: Tensor) -> bool:
    """Whether a net of these inputs may run so: float32 images on a CPU; float64 has no such convolutions."""
    return inputs.dim() == 4 and inputs.dtype == torch.float32 and inputs.device.type == "cpu"


class ChannelsLast(Blamed):
    """Runs BatchNorm and average pools of channels_last images by the faster rules; refuses to show strides."""

    def call(self, func: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Divert the operations that have a rule where it applies."""
        if func in READS_STRIDES:
            raise ProxyError("failed", f"the net calls {func}")
        rule = _RULES.get(func)
        result = None
        if rule is not None:
            with outside_modes():  # what a rule calls is not the net's
                result = rule(*args, **kwargs)
        return func(*args, **kwargs) if result is None else result


class BatchNormCall(NamedTuple):
    """The arguments of F.batch_norm, by position or by name."""

    input: Tensor
    running_mean: Tensor | None
    running_var: Tensor | None
    weight: Tensor | None = None
    bias: Tensor | None = None
    training: bool = False
    momentum: float = 0.1
    eps: float = 1e-5


def is_channels_last(x: Tensor) -> bool:
    """Whether these are images of more than one channel and position with the channels innermost."""
    return suits(x) and not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last)


def has_tangent(x: Tensor) -> bool:
    """Whether x carries a tangent of forward mode."""
    return forward_ad.unpack_dual(x).tangent is not None  # type: ignore[no-untyped-call]


class BatchNorm(torch.autograd.Function):
    """Train-mode BatchNorm of channels_last images with constant or learned scale and shift.

    Returns the output, and the mean and inverse standard deviation [C], which have no derivative.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
        """Normalise."""
        output, mean, inverse = torch.ops.zcfast.batch_norm(x, weight, bias, eps)
        ctx.save_for_backward(x, weight, mean, inverse)
        ctx.mark_non_differentiable(mean, inverse)
        # as torch's node has them
        ctx._saved_training, ctx._saved_eps, ctx._saved_result2 = True, eps, inverse
        return output, mean, inverse

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        """By the input, the scale and the shift."""
        by_input, along, total = backward(gradients[0], *ctx.saved_tensors)
        return by_input, along, total, None


def backward(
    gradient: Tensor, x: Tensor, weight: Tensor, mean: Tensor, inverse: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The backward pass of BatchNorm, the sum of gradient times normalised value, and the sum of the gradient."""
    gradient = gradient.contiguous(memory_format=torch.channels_last)
    return torch.ops.zcfast.batch_norm_backward(gradient, x, weight, mean, inverse)  # type: ignore[no-any-return]


def scale_and_shift(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> tuple[Tensor, Tensor]:
    """The parameters of a BatchNorm that may lack them."""
    channels = x.shape[1]
    return x.new_ones(channels) if weight is None else weight, x.new_zeros(channels) if bias is None else bias


def _batch_norm(*args: Any, **kwargs: Any) -> Tensor | None:
    """The output; running statistics move, as a net may read them later in the same pass."""
    call = BatchNormCall(*args, **kwargs)
    x = call.input
    if not call.training or not is_channels_last(x) or has_tangent(x) or not _is_plain(call):
        return None
    output, mean, inverse = BatchNorm.apply(x, *scale_and_shift(x, call.weight, call.bias), call.eps)  # type: ignore[no-untyped-call]
    move_running_statistics(call, mean, inverse)
    return output  # type: ignore[no-any-return]


def _is_plain(call: BatchNormCall) -> bool:
    """Whether all parts are as the operator takes them; torch says what is wrong with others."""
    parts = (call.weight, call.bias, call.running_mean, call.running_var)
    fit = all(part is None or (part.dtype == torch.float32 and part.shape == call.input.shape[1:2]) for part in parts)
    statistics = [part for part in parts[2:] if part is not None]
    constant = not any(part.requires_grad or has_tangent(part) for part in statistics)
    return fit and constant and len(statistics) != 1 and isinstance(call.momentum, (float, int))


def move_running_statistics(call: BatchNormCall, mean: Tensor, inverse: Tensor) -> None:
    """Move the running statistics, if any, towards those of a minibatch: its mean and inverse standard deviation."""
    if call.running_mean is None or call.running_var is None:
        return
    places = call.input.numel() // call.input.shape[1]
    variance = (inverse.double().pow(-2) - call.eps).clamp_(min=0) * (places / (places - 1))
    for running, now in ((call.running_mean, mean), (call.running_var, variance)):
        # As torch does it: a graph that holds what they were is not told.
        running.data.mul_(1 - call.momentum).add_(now.to(running.dtype), alpha=call.momentum)


def _avg_pool2d(
    input: Tensor,
    kernel_size: int | tuple[int, int],
    stride: int | tuple[int, int] | None = None,
    padding: int | tuple[int, int] = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor | None:
    """Windows that move by one position, as sums; a window's share of padding counts or does not."""
    size, step, pad = _pair(kernel_size), _pair(stride or kernel_size), _pair(padding)
    if step != (1, 1) or size == (1, 1) or divisor_override is not None or not is_channels_last(input):
        return None
    channels = input.shape[1]
    filters = input.new_full((channels, 1, *size), 1 / (size[0] * size[1]))
    sums = F.conv2d(input, filters, None, step, pad, 1, channels)
    if pad == (0, 0) or count_include_pad:
        return sums
    inside = F.conv2d(input.new_ones(1, 1, *input.shape[2:]), filters[:1], None, step, pad)
    return sums.mul(inside.reciprocal_())


def _dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor | None:
    if not training or p in (0, 1) or not is_channels_last(input):
        return None
    mask = torch.empty(input.shape).bernoulli_(1 - p).div_(1 - p)
    return input.mul_(mask) if inplace else input * mask


def _alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor | None:
    if not training or p in (0, 1) or not is_channels_last(input):
        return None
    result = F.alpha_dropout(input.contiguous(), p, True)
    return input.copy_(result) if inplace else result.contiguous(memory_format=torch.channels_last)


def _pair(value: int | tuple[int, ...]) -> tuple[int, int]:
    pair = (value, value) if isinstance(value, int) else tuple(value)
    return (pair[0], pair[-1])


def _conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | tuple[int, ...] = 1,
    padding: int | tuple[int, ...] | str = 0,
    dilation: int | tuple[int, ...] = 1,
    groups: int = 1,
) -> Tensor | None:
    """Strided 1 x 1 convolutions of few channels, as those without a stride of the positions that they take.

    Larger filters of many weights with the channels outermost. There the output stays: what follows has little to do.
    """
    if weight.dim() != 4:
        return None
    if tuple(weight.shape[2:]) != (1, 1):
        if weight.numel() < _MANY_WEIGHTS * input.numel() or not is_channels_last(input):
            return None
        return F.conv2d(input.contiguous(), weight, bias, stride, padding, dilation, groups)
    step, unpadded = _pair(stride), padding == "valid" or (not isinstance(padding, str) and _pair(padding) == (0, 0))
    if weight.shape[1] > _FEW_CHANNELS or step == (1, 1) or not unpadded:
        return None
    return F.conv2d(input[..., :: step[0], :: step[1]], weight, bias, groups=groups)


_RULES: dict[Any, Callable[..., Tensor | None]] = {
    F.batch_norm: _batch_norm,
    F.avg_pool2d: _avg_pool2d,
    F.dropout: _dropout,
    F.alpha_dropout: _alpha_dropout,
    F.conv2d: _conv2d,
}


def _batch_norm_fake(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    return torch.empty_like(x), torch.empty_like(weight), torch.empty_like(weight)


def _batch_norm_backward_fake(
    gradient: Tensor, x: Tensor, weight: Tensor, mean: Tensor, inverse: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    return torch.empty_like(x), torch.empty_like(mean), torch.empty_like(mean)


torch.library.register_fake("zcfast::batch_norm", _batch_norm_fake)
torch.library.register_fake("zcfast::batch_norm_backward", _batch_norm_backward_fake)
