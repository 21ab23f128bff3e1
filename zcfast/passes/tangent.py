"""Second derivatives of the loss along one direction, as the gradient of a directional derivative.

A forward pass carries every value with its tangent along the direction (torch.autograd.forward_ad). The loss has then
the tangent <dLoss/dlogits, tangent of the logits>, whose gradient by a weight W is (H direction)_W: one ordinary
backward pass. Next to the gradient of a gradient it needs no derivative of a convolution's backward pass, which torch
computes by convolutions with kernels as large as the image, and it reaches only the weights that are asked for.

Not every forward derivative of torch can be differentiated: those of the normalisations take their saved statistics for
constants, which would give a wrong number and no error. So only operations that were compared with the gradient of a
gradient run here (tests/passes/test_tangent.py); BatchNorm has a rule of its own. What runs where no mode sees it, as
in functions of torch.jit.script, leaves nodes in the graph that no rule has made, or shows in the loss, whose slope
along the direction is known before.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.autograd.function import once_differentiable
from torch.autograd.graph import Node
from torch.overrides import TorchFunctionMode

from zcfast.nets.inputs import tensors_within
from zcfast.passes.cpu_backend.channels_last import (
    BatchNorm,
    BatchNormCall,
    backward,
    has_tangent,
    is_channels_last,
    move_running_statistics,
    scale_and_shift,
)
from zcfast.passes.opaque import UnsupportedError
from zcfast.passes.slots import Slot, Slots
from zcfast.torch_internals import make_dual, outside_modes

COMPARED = frozenset(
    {
        *(F.conv1d, F.conv2d, F.conv3d, F.linear, F.pad, F.dropout, torch.matmul, Tensor.matmul),
        *(F.avg_pool1d, F.avg_pool2d, F.avg_pool3d, F.max_pool1d, F.max_pool2d, F.max_pool3d),
        *(F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d, F.adaptive_max_pool2d),
        *(F.relu, F.relu_, torch.relu, Tensor.relu, Tensor.relu_, F.hardtanh, F.leaky_relu, F.elu, F.hardswish),
        *(F.gelu, F.silu, torch.sigmoid, Tensor.sigmoid, torch.tanh, Tensor.tanh),
        *(torch.add, Tensor.add, Tensor.add_, torch.sub, Tensor.sub, torch.mul, Tensor.mul, Tensor.div, Tensor.neg),
        *(torch.cat, torch.flatten, Tensor.flatten, Tensor.reshape, Tensor.view, Tensor.permute, Tensor.transpose),
        *(
            Tensor.clone,
            Tensor.chunk,
            Tensor.split,
            Tensor.unsqueeze,
            Tensor.squeeze,
            Tensor.__getitem__,
            Tensor.contiguous,
        ),
        *(torch.mean, Tensor.mean, torch.sum, Tensor.sum, F.interpolate),
        *(torch.zeros_like, Tensor.size, Tensor.dim, Tensor.numel, Tensor.is_contiguous),
        torch.device,  # which torch before 2.13 shows to modes as an operation
        *(getattr(Tensor, name).__get__ for name in ("shape", "dtype", "device", "ndim")),
    }
)

_SHARE = 10  # roots of a float's eps: by as much of itself may rounding move the slope of the loss


def hessian_products(
    slots: Slots,
    gradients: Sequence[Tensor],
    directions: Sequence[Tensor],
    logits_of_net: Callable[[TorchFunctionMode], Tensor],
    loss_of_logits: Callable[[Tensor], Tensor],
) -> list[Tensor]:
    """Multiply the Hessian over the counted weights by a direction.

    Args:
        slots: the places of the net's parameters, where stand-ins are installed.
        gradients: of the loss, one tensor for each counted slot.
        directions: one tensor for each counted slot.
        logits_of_net: runs the net in a mode that sees every function that it calls, and gives its logits.
        loss_of_logits: the loss; of nothing but the logits.

    Returns:
        One tensor for each counted slot.

    Raises:
        UnsupportedError, RuntimeError: forward mode cannot differentiate the net, or not as reverse mode does.
    """
    rank_of = {index: rank for rank, index in enumerate(slots.counted)}
    points = [slots.all[index].parameter.detach().clone().requires_grad_() for index in slots.counted]
    index_of = {id(slot): index for index, slot in enumerate(slots.all)}

    def stand_in(slot: Slot, count: int) -> Tensor:
        if not count:
            return nn.Parameter(slot.parameter.detach().clone(), requires_grad=False)
        rank = rank_of[index_of[id(slot)]]
        rules.note([dual := make_dual(points[rank], directions[rank])])
        return dual

    rules = _TangentRules()
    with forward_ad.dual_level():
        slots.install(stand_in)
        dual = logits_of_net(rules)
        rules.check([dual])
        logits, tangent = forward_ad.unpack_dual(dual)  # type: ignore[no-untyped-call]
    # Outside the level: a backward pass within it would carry tangents too.
    slope = sum((gradient * along).sum().item() for gradient, along in zip(gradients, directions, strict=True))
    if tangent is None or not logits.requires_grad:
        if slope:
            raise UnsupportedError("an operation without a tangent")
        return [torch.zeros_like(point) for point in points]
    if loss_of_logits(logits.detach()).requires_grad:
        raise UnsupportedError("the loss takes more than the logits")
    (by_logits,) = torch.autograd.grad(loss_of_logits(logits), [logits], create_graph=True)
    total = (by_logits * tangent).sum()
    if not math.isclose(total.item(), slope, rel_tol=_SHARE * torch.finfo(logits.dtype).eps ** 0.5):
        raise UnsupportedError("an operation whose tangent is not that of its derivative")
    found = torch.autograd.grad(total, points, allow_unused=True)
    return [torch.zeros_like(p) if part is None else part for p, part in zip(points, found, strict=True)]


class _TangentRules(TorchFunctionMode):
    """Runs the operations that were compared, BatchNorm by its rule, and refuses all others."""

    def __init__(self) -> None:
        super().__init__()
        self._known: set[Node | None] = {None}  # and held: a node may be made again under the same id

    def note(self, tensors: Iterable[Tensor]) -> None:
        """Take all nodes behind tensors as made by a rule."""
        stack = [each.grad_fn for each in tensors]
        while stack:
            node = stack.pop()
            if node is not None and node not in self._known:
                self._known.add(node)
                stack += [source for source, _ in node.next_functions]

    def check(self, tensors: Iterable[Tensor]) -> None:
        """Raise UnsupportedError where something else has made one of the tensors."""
        if not all(each.grad_fn in self._known for each in tensors):
            raise UnsupportedError("an operation that no rule has seen")

    def __torch_function__(self, func: Any, types: Iterable[type], args: Any = (), kwargs: Any = None) -> Any:
        if func is not F.batch_norm and func not in COMPARED:  # first: torch asks some while it holds a tensor's lock
            raise UnsupportedError(f"{func} was not compared")
        given = [*tensors_within(args), *tensors_within((kwargs or {}).values())]
        self.check(given)
        result = self._call(func, args, kwargs or {})
        self.note([*given, *tensors_within((result,))])  # those given may have been written to
        return result

    def _call(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        if func is F.batch_norm:
            with outside_modes():
                result = _batch_norm(*args, **kwargs)
            return func(*args, **kwargs) if result is None else result
        if func is F.dropout:
            return _dropout(*args, **kwargs)
        if func in _SUMS_AND_PRODUCTS:
            args = _with_tangents(func, args)
        return func(*args, **kwargs)


_SUMS_AND_PRODUCTS = frozenset(
    {torch.add, Tensor.add, Tensor.add_, torch.sub, Tensor.sub, torch.mul, Tensor.mul, Tensor.div, F.linear}
)


def _with_tangents(func: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Operands that all have a tangent, where one has: of constants and numbers it is zero.

    Where one operand has none, torch takes a symbolic zero for it, and asks a rule in Python for the sum's form, whose
    first call imports 800 modules.
    """
    like = next((each for each in args if isinstance(each, Tensor) and has_tangent(each)), None)
    if like is None or like.dtype not in (torch.float32, torch.float64):
        return args
    first = args[:1] if func is Tensor.add_ else ()  # what is written to stays the caller's

    def dual(each: Any) -> Any:
        if isinstance(each, (int, float)) and func is not F.linear:
            each = torch.tensor(each, dtype=like.dtype, device=like.device)
        if not isinstance(each, Tensor) or each.dtype != like.dtype or has_tangent(each):
            return each
        return make_dual(each, torch.zeros_like(each))

    return (*first, *map(dual, args[len(first) :]))


def _dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Dropout as the product that it is, with the numbers that torch draws for such an input."""
    if not (training and p and has_tangent(input)):
        return F.dropout(input, p, training, inplace)
    kept = F.dropout(torch.ones_like(input.detach()), p)
    result = torch.mul(*_with_tangents(torch.mul, (input, kept)))
    return input.copy_(result) if inplace else result


def _batch_norm(*args: Any, **kwargs: Any) -> Tensor | None:
    call = BatchNormCall(*args, **kwargs)
    weight, bias, eps = call.weight, call.bias, call.eps
    primal, tangent = forward_ad.unpack_dual(call.input)  # type: ignore[no-untyped-call]
    plain = all(p is None or not (p.requires_grad or has_tangent(p)) for p in (weight, bias))
    if not call.training or not plain or primal.dtype not in (torch.float32, torch.float64):
        raise UnsupportedError("BatchNorm other than in training, with constant scale and shift")
    if tangent is None:
        return None
    weight, bias = scale_and_shift(primal, weight, bias)
    if is_channels_last(primal):
        value, mean, inverse_deviation = BatchNorm.apply(primal, weight, bias, eps)  # type: ignore[no-untyped-call]
        move_running_statistics(call, mean, inverse_deviation)
    else:
        value, mean, inverse_deviation = torch.native_batch_norm(
            primal, weight, bias, call.running_mean, call.running_var, True, call.momentum, eps
        )
    moved = _NormTangent.apply(tangent, primal, weight, mean.detach(), inverse_deviation.detach(), eps)  # type: ignore[no-untyped-call]
    return make_dual(value, moved)


class _NormTangent(torch.autograd.Function):
    """The tangent that train-mode BatchNorm gives, and its derivatives by the tangent and the value that it takes.

    Over the M places of a channel let xh = (x - mean) r be the normalised value. The Jacobian of xh by x,
    r (I - 1 1^T / M - xh xh^T / M), is symmetric, so the tangent is what the backward pass makes of it.
    """

    @staticmethod
    def forward(ctx: Any, tangent: Tensor, x: Tensor, weight: Tensor, mean: Tensor, r: Tensor, eps: float) -> Tensor:
        moved, along, total = _norm_backward(tangent, x, weight, mean, r, eps)
        ctx.eps = eps
        ctx.save_for_backward(tangent, x, weight, mean, r, along, total)
        return moved

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        """By x: - r^2 [(q - 3 m n) xh + n (t - mean t) + m (l - mean l)].

        t is the tangent, l the gradient times the weight, m = mean(xh t), n = mean(xh l), q their covariance.
        """
        (gradient,) = gradients
        tangent, x, weight, mean, r, along, total = ctx.saved_tensors
        by_tangent, along_gradient, total_gradient = _norm_backward(gradient, x, weight, mean, r, ctx.eps)
        shape = [1, -1] + [1] * (x.dim() - 2)
        places = x.numel() // x.shape[1]
        product = (gradient * tangent).sum([d for d in range(x.dim()) if d != 1])
        mean_t, mean_l, m = total / places, weight * total_gradient / places, along / places
        n = weight * along_gradient / places
        q = weight * product / places - mean_t * mean_l
        by_x = -(r**3) * (q - 3 * m * n)
        constant = -by_x * mean + r**2 * (n * mean_t + m * mean_l)
        result = torch.addcmul(constant.view(shape), x, by_x.view(shape))
        result.addcmul_(tangent, (-(r**2) * n).view(shape)).addcmul_(gradient, (-(r**2) * m * weight).view(shape))
        return by_tangent, result, None, None, None, None


def _norm_backward(
    gradient: Tensor, x: Tensor, weight: Tensor, mean: Tensor, r: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The backward pass of BatchNorm, the sum of gradient times normalised value, and the sum of the gradient."""
    if is_channels_last(x):
        return backward(gradient, x, weight, mean, r)
    result = torch.ops.aten.native_batch_norm_backward(
        gradient, x, weight, None, None, mean, r, True, eps, [True, True, True]
    )
    return result[0], result[1], result[2]
