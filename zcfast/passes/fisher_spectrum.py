"""How unevenly the outputs of a net answer to its parameters."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from torch.overrides import TorchFunctionMode

from zcfast.passes.batch import Batch
from zcfast.passes.cpu_backend.channels_last import BatchNormCall
from zcfast.passes.draws import Draws
from zcfast.passes.each_sample import NOT_AT_ONCE, compared, same
from zcfast.passes.failures import ProxyError
from zcfast.passes.first_derivatives import FirstDerivatives
from zcfast.passes.forward import differentiate
from zcfast.passes.net import Net, evaluate
from zcfast.passes.opaque import UnsupportedError
from zcfast.passes.recording import gradient_checks
from zcfast.passes.redraw import kaiming_fan_in, redrawn
from zcfast.passes.repeated import Repeated
from zcfast.passes.unseen import BATCH_NORM, Watching

_Found: TypeAlias = tuple[Tensor, Tensor]
_PARAMETERS = 128  # the first ones of the net
_SMOOTHING = torch.tensor(0.05, dtype=torch.float16)  # of the probabilities, in half precision as published


class FisherSpectrum(Repeated):
    """Of each draw, [P] float64: the singular values of the published code's Fisher matrix, falling.

    Of each of the first 128 parameters the first number counts alone. With J [classes, P] the derivatives of a sample's
    logits by these and L the lower factor of the covariance of its smoothed class probabilities, the matrix is the mean
    over samples of (L J)^T (L J). The net is in evaluation mode; a BatchNorm without running statistics takes means of
    0 and variances of 1, as a new net's are.
    """

    reads = "inputs"
    stream = "vkdnw"
    cost = 15.0

    def once(self, net: Net, batch: Batch, draws: Draws) -> Tensor:
        """Those of one draw of Kaiming weights (fan in), or of the weights that are there."""
        net.slots.check_hooks(net.slots.all)
        if self.init == "as_is":
            return self._spectrum(net, batch)
        with redrawn(net, draws, kaiming_fan_in):
            return self._spectrum(net, batch)

    def _spectrum(self, net: Net, batch: Batch) -> Tensor:
        parts = batch.split(batch.samples)
        alone = {place: _of_one(net, parts[place]) for place in compared(len(parts))}
        found = _of_all(net, batch, alone) if len(parts) > len(alone) else None
        if found is None:
            found = [alone.get(place) or _of_one(net, part) for place, part in enumerate(parts)]
        matrices = [_factor(each) @ jacobian for each, jacobian in found]
        total: Tensor = torch.stack([rows.T @ rows for rows in matrices]).sum(0)
        if not bool(total.isfinite().all()):
            raise ProxyError("undefined", "a logit or a derivative of it is not finite")
        spectrum: Tensor = torch.linalg.svdvals(total / batch.samples)
        return spectrum


def _logits(net: Net, batch: Batch, *modes: TorchFunctionMode) -> Tensor:
    inputs, _ = batch.tensors()
    checks, before = gradient_checks(net.layers), [(net.module, evaluate)]
    output = net.forward(inputs, checks, before, modes=[*modes, _FixedStatistics()], fast=True)
    logits = batch.found_logits(output, batch.samples)
    if logits.dim() != 2 or len(logits) != batch.samples or logits.shape[1] < 2:
        raise ProxyError("undefined", f"logits [N, classes] are needed, got {tuple(logits.shape)} for a sample")
    return logits


def _of_one(net: Net, sample: Batch) -> _Found:
    """The logits [classes] of a sample and their derivatives [classes, P], float64."""
    logits = _logits(net, sample)
    return logits[0].detach().double(), _jacobian(logits[0], _first(net)).double()


def _of_all(net: Net, batch: Batch, alone: Mapping[int, _Found]) -> list[_Found] | None:
    """`_of_one` of all samples by one pass, where some have the derivatives that they have alone; else None."""
    net.begin_again()
    groups = _first(net, everyone=True)
    mode = FirstDerivatives([group[0] for group in groups], batch.samples)
    try:
        if any(len(group) > 1 for group in groups):
            raise UnsupportedError("a parameter of several layers")
        logits = _logits(net, batch, mode)
        jacobians = mode.jacobians(logits, alone[0][1].shape[1])
    except NOT_AT_ONCE:  # the other way decides whether the net is at fault
        return None
    dtype = logits.dtype
    for place, (_, expected) in alone.items():
        if not same(jacobians[place].to(dtype).unbind(1), expected.to(dtype).unbind(1)):
            return None
    return list(zip(logits.detach().double(), jacobians, strict=True))


def _first(net: Net, *, everyone: bool = False) -> list[list[Tensor]]:
    """What stands in all places of each of the first parameters, or of each of all."""
    places: dict[int, list[Tensor]] = {}
    for slot, copy in zip(net.slots.all, net.copies, strict=True):
        places.setdefault(id(slot.parameter), []).append(copy)
    return list(places.values())[: None if everyone else _PARAMETERS]


def _jacobian(logits: Tensor, parameters: list[list[Tensor]]) -> Tensor:
    """[classes, P]: derivatives by the first number of each parameter, which may stand in several places."""
    points = [copy for group in parameters for copy in group]
    rows = []
    for each in logits:
        first = iter(part.reshape(-1)[0] for part in differentiate(each, points, retain_graph=True))
        rows.append(torch.stack([torch.stack([next(first) for _ in group]).sum() for group in parameters]))
    return torch.stack(rows).detach()


def _factor(logits: Tensor) -> Tensor:
    """[classes, classes], lower: that of the covariance of one multinomial draw (Tanabe and Sagae 1992).

    What is left behind the last class is 0 exactly, where the half precision of the smoothing leaves 2e-4.
    """
    shares = logits.softmax(0) * (1 - _SMOOTHING).item() + (_SMOOTHING / len(logits)).item()
    left = 1 - shares.cumsum(0)
    left[-1] = 0
    before = torch.cat([left.new_ones(1), left[:-1]])
    scale = (shares * left / before).sqrt()
    below = torch.outer(shares, scale[:-1] / left[:-1])
    factor = torch.diag(scale)
    factor[:, :-1] -= below.tril(-1)
    return factor


class _FixedStatistics(Watching):
    """BatchNorm never takes statistics of the minibatch."""

    matters = BATCH_NORM

    def __torch_function__(self, func: Any, types: Iterable[type], args: Any = (), kwargs: Any = None) -> Any:
        if func is F.batch_norm:
            call = BatchNormCall(*args, **(kwargs or {}))
            mean, variance = call.running_mean, call.running_var
            if mean is None or variance is None:
                channels = call.input.shape[1]
                mean, variance = call.input.new_zeros(channels), call.input.new_ones(channels)
            return F.batch_norm(*call._replace(running_mean=mean, running_var=variance, training=False))
        return func(*args, **(kwargs or {}))
