"""A forward pass of no samples: what it shows of shapes costs no arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  # the name that every PyTorch user reads
from torch import Tensor
from torch.overrides import TorchFunctionMode

from zcfast.nets.inputs import tensors_within
from zcfast.nets.products import PRODUCT, Counted, convolution_kind

_NAMES = """
    conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d linear layer_norm group_norm relu relu_
    relu6 elu elu_ selu celu leaky_relu leaky_relu_ prelu rrelu gelu silu mish softplus softsign hardtanh hardtanh_
    hardswish hardsigmoid sigmoid sigmoid_ logsigmoid tanh tanh_ softmax log_softmax clamp clamp_ exp sqrt rsqrt
    dropout dropout_ dropout1d dropout2d dropout3d alpha_dropout avg_pool1d avg_pool2d avg_pool3d max_pool1d
    max_pool2d max_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d
    adaptive_max_pool2d adaptive_max_pool3d interpolate pixel_shuffle pad embedding matmul bmm
    scaled_dot_product_attention normalize add add_ sub mul mul_ div pow neg abs square maximum minimum mean sum
    amax amin var std __add__ __radd__ __iadd__ __sub__ __rsub__ __mul__ __rmul__ __imul__ __truediv__ __matmul__
    __neg__ __pow__ contiguous clone detach float to type_as transpose swapaxes permute movedim unsqueeze squeeze
"""
_OWNERS = (torch, F, Tensor)
# What tells of a tensor and makes none.
_QUERIES = frozenset(
    (
        *(Tensor.dim, Tensor.size, Tensor.numel, Tensor.__len__, Tensor.is_floating_point, Tensor.stride),
        *(getattr(Tensor, each).__get__ for each in ("shape", "ndim", "dtype", "device", "requires_grad", "is_cuda")),
    )
)
# What gives each sample's own result for it, as long as the samples stay in the first dimension.
_SAMPLEWISE = frozenset(getattr(owner, name) for name in _NAMES.split() for owner in _OWNERS if hasattr(owner, name))
_IN_PARTS = frozenset((torch.cat, torch.chunk, torch.split, Tensor.chunk, Tensor.split))
_VIEWS = frozenset((Tensor.view, Tensor.reshape, torch.reshape))
_FLATTEN = frozenset((Tensor.flatten, torch.flatten))
_NORMALISE = frozenset((F.batch_norm, F.instance_norm))  # which take no empty batch


class OtherwiseShapedError(Exception):
    """Something other than the samples' own results may come of the call."""


class NoSamples(TorchFunctionMode):
    """While it is entered, a net runs on inputs [0, ...] and sees the shapes that each sample would have.

    Attributes:
        kinds: calls and multiply-adds of one sample of the products and convolutions so far, by kind.

    Raises:
        OtherwiseShapedError: at a call after which the shapes may be others than those of a sample: one that mixes the
            samples with another dimension, or one that is not known.
    """

    def __init__(self, inputs: Sequence[Tensor]) -> None:
        """Take the inputs, each [0, ...]."""
        super().__init__()
        self.kinds: dict[str, tuple[int, int]] = {}
        self._seen = {id(each): each for each in inputs}  # held, so that no other tensor has the id

    def require_seen(self, output: Any) -> None:
        """Raise an OtherwiseShapedError where an output of the net comes from a call that was not seen."""
        values = output.values() if isinstance(output, Mapping) else (output,)
        if any(0 in each.shape and id(each) not in self._seen for each in tensors_within(values)):
            raise OtherwiseShapedError("samples come from a call that no mode sees")

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run the call and check what comes."""
        kwargs = kwargs or {}
        if func in _QUERIES:
            return func(*args, **kwargs)
        taken = [each for each in tensors_within((*args, *kwargs.values())) if 0 in each.shape]
        if any(id(each) not in self._seen for each in taken):
            raise OtherwiseShapedError("samples come from a call that no mode sees")
        if not taken:
            return _without(func, *args, **kwargs)
        if func in _NORMALISE:
            return args[0]
        result = _VIEW_OF[func](func, *args, **kwargs) if func in _VIEW_OF else func(*args, **kwargs)
        if func in _WORK:
            for kind, work in _WORK[func](result, *args, **kwargs):
                calls, before = self.kinds.get(kind, (0, 0))
                self.kinds[kind] = calls + 1, before + work
        made = list(tensors_within((result,)))
        if made and func not in _VIEW_OF and func not in _SAMPLEWISE:
            raise OtherwiseShapedError(f"{func} is not known")
        for each in made:
            if each.shape[:1] != (0,) or 0 in each.shape[1:]:
                raise OtherwiseShapedError(f"{func} moves the samples")
            self._seen[id(each)] = each
        return result


def _without(func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """What a call gives that takes no samples; one that does work, or makes samples, is for a pass with samples."""
    if func in _SAMPLEWISE and func not in _WORK:
        result = func(*args, **kwargs)
    else:
        with Counted() as counted:
            result = func(*args, **kwargs)
        if counted.kinds or counted.unknown:
            raise OtherwiseShapedError(f"{func} works without samples")
    if any(0 in each.shape for each in tensors_within((result,))):
        raise OtherwiseShapedError(f"{func} makes samples")
    return result


Work = list[tuple[str, int]]  # the kind and the multiply-adds of one sample of each product in a call


def _convolution(  # as torch names the arguments
    out: Tensor, x: Tensor, weight: Tensor, bias: Any = None, stride: Any = 1, *rest: Any, groups: int = 1, **named: Any
) -> Work:
    groups = rest[2] if len(rest) > 2 else groups  # behind padding and dilation
    return [(convolution_kind(weight.shape, stride, groups), math.prod(out.shape[2:]) * weight.numel())]


def _transposed(
    out: Tensor, x: Tensor, weight: Tensor, bias: Any = None, stride: Any = 1, *rest: Any, groups: int = 1, **named: Any
) -> Work:
    groups = rest[2] if len(rest) > 2 else groups  # behind padding and output_padding
    return [(convolution_kind(weight.shape, stride, groups, True), math.prod(x.shape[2:]) * weight.numel())]


def _product(out: Tensor, left: Tensor, *rest: Any, **named: Any) -> Work:
    return [(PRODUCT, math.prod(out.shape[1:]) * left.shape[-1])]


def _attention(out: Tensor, query: Tensor, key: Tensor, value: Tensor, *rest: Any, **named: Any) -> Work:
    places = math.prod(query.shape[1:-1]) * key.shape[-2]
    return [(PRODUCT, places * query.shape[-1]), (PRODUCT, places * value.shape[-1])]


# What multiplies and adds, and how much; out, then the arguments of the call.
_WORK: dict[Any, Callable[..., Work]] = {
    **dict.fromkeys((F.conv1d, F.conv2d, F.conv3d), _convolution),
    **dict.fromkeys((F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d), _transposed),
    **dict.fromkeys((F.linear, torch.matmul, Tensor.matmul, Tensor.__matmul__, torch.bmm, Tensor.bmm), _product),
    F.scaled_dot_product_attention: _attention,
}


def _view(func: Callable[..., Any], x: Tensor, *shape: Any, **named: Any) -> Tensor:
    wanted = named.get("shape", named.get("size", shape))
    if len(wanted) == 1 and isinstance(wanted[0], (tuple, list)):
        wanted = wanted[0]
    if not all(isinstance(size, int) for size in wanted):
        raise OtherwiseShapedError("a view as another type")
    sizes = list(wanted)
    own, others = math.prod(x.shape[1:]), math.prod(size for size in sizes if size > 0)
    if -1 in sizes:
        # The rest of each sample, or the samples themselves.
        sizes[sizes.index(-1)] = own // others if 0 in sizes else 0
    if sizes[:1] != [0] or math.prod(sizes[1:]) != own:
        raise OtherwiseShapedError("a view that mixes samples with another dimension")
    return x.reshape(sizes)


def _flat(func: Callable[..., Any], x: Tensor, *args: Any, **named: Any) -> Any:
    start = args[0] if args else named.get("start_dim", 0)
    if start % x.dim() == 0:
        raise OtherwiseShapedError("samples flattened into another dimension")
    return func(x, *args, **named)


def _in_parts(func: Callable[..., Any], x: Any, *args: Any, **named: Any) -> Any:
    first = x if isinstance(x, Tensor) else x[0]
    place = 0 if func is torch.cat else 1  # behind the parts, or behind their number
    dim = args[place] if len(args) > place else named.get("dim", 0)
    if dim % first.dim() == 0:
        raise OtherwiseShapedError("samples in parts")
    return func(x, *args, **named)


def _item(func: Callable[..., Any], x: Tensor, index: Any) -> Any:
    places = index if isinstance(index, tuple) else (index,)
    all_samples = places[:1] == (slice(None),) or (places[:1] == (...,) and len(places) <= x.dim())
    if not all(isinstance(each, (int, slice, type(...), type(None))) for each in places) or not all_samples:
        raise OtherwiseShapedError("some of the samples")
    return func(x, index)


_VIEW_OF: dict[Any, Callable[..., Any]] = {
    **dict.fromkeys(_VIEWS, _view),
    **dict.fromkeys(_FLATTEN, _flat),
    **dict.fromkeys(_IN_PARTS, _in_parts),
    Tensor.__getitem__: _item,
}
