"""How far noise on its input moves a net's last map, and how much its BatchNorms scale."""

import math
from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from zcfast.nets.inputs import Inputs, mapped, only_tensor
from zcfast.passes.batch import Batch
from zcfast.passes.cpu_backend.channels_last import BatchNormCall
from zcfast.passes.draws import Draws
from zcfast.passes.failures import ProxyError
from zcfast.passes.net import Net
from zcfast.passes.rectifiers import POOLS
from zcfast.passes.redraw import redrawn, unit
from zcfast.passes.repeated import Repeated
from zcfast.passes.unseen import Watching

_NOISE = 0.01


class MapDifference(Repeated):
    """Of each draw, ln of the last map's mean difference plus half the sum of ln of what the BatchNorms divide by.

    Two inputs, normal noise x and x + 0.01 e, run through the net with standard-normal weights. The difference is the
    sum of absolute ones, a sample. A BatchNorm2d counts its running variance behind both, the mean over channels: it
    starts at 1 and goes on from draw to draw, as in the published code. One that does not run counts nothing.
    """

    reads = "inputs"
    stream = "zen"
    cost = 2.0

    def __init__(self) -> None:
        """Begin with variances of 1."""
        self.variances: dict[int, Tensor] = {}

    def once(self, net: Net, batch: Batch, draws: Draws) -> float:
        """The score of one draw."""
        inputs, _ = batch.tensors()
        given = only_tensor(inputs)
        if given is None or not given.is_floating_point():
            raise ProxyError("undefined", "noise is added to one real input, and this net has others")
        noise = draws.normal("noise", "1", given.shape).to(given)
        with torch.no_grad():
            if self.init == "as_is":
                return self._score(net, inputs, noise)
            with redrawn(net, draws, unit):
                drawn = draws.normal("noise", "0", given.shape).to(given)
                return self._score(net, mapped(lambda x: drawn, inputs), noise)

    def _score(self, net: Net, inputs: Inputs, noise: Tensor) -> float:
        moved = mapped(lambda x: x + _NOISE * noise, inputs)
        first, second = (self._last_map(net, each) for each in (inputs, moved))
        difference = (first.double() - second.double()).abs().sum().item() / len(first)
        scales = [variance.mean().log().item() / 2 for variance in self.variances.values()]
        return (math.log(difference) if difference else -math.inf) + sum(scales)

    def _last_map(self, net: Net, inputs: Inputs) -> Tensor:
        def update(module: nn.Module, args: Any, output: Any) -> None:
            """Move the module's running variance as torch does."""
            assert isinstance(module, nn.BatchNorm2d)
            variance, seen.variance = seen.variance, None
            if variance is None:
                raise ProxyError("undefined", "a BatchNorm takes its running statistics, not those of the minibatch")
            share = 0.1 if module.momentum is None else module.momentum
            before = self.variances.get(id(module), torch.ones_like(variance))
            self.variances[id(module)] = (1 - share) * before + share * variance

        norms = [module for module in net.modules if isinstance(module, nn.BatchNorm2d)]
        seen = _Seen()
        net.forward(inputs, [(module, update) for module in norms], modes=[seen], fast=True)
        if seen.last is None:
            raise ProxyError("undefined", "the net makes no maps [N, C, H, W]")
        last: Tensor = seen.last
        return last


class _Seen(Watching):
    """Keeps what the functions that run give.

    Attributes:
        last: the last map [N, C, H, W] of several places that is of no pool: what a net pools in the end. What is made
            of the input before a parameter has been used says nothing about the net.
        variance: float64 [C], unbiased, of the last BatchNorm over its minibatch; None where it took running ones.
    """

    def __init__(self) -> None:
        super().__init__()
        self.last: Any = None
        self._has_begun = False
        self.variance: Tensor | None = None

    def __torch_function__(self, func: Any, types: Iterable[type], args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        tensors = [each for each in (*args, *kwargs.values()) if isinstance(each, Tensor)]
        parameters = [each for each in tensors if isinstance(each, nn.Parameter)]
        self._has_begun |= 0 < len(parameters) < len(tensors)  # one alone is copied, before the net is called
        normalises = func is F.batch_norm
        result = self._normalised(BatchNormCall(*args, **kwargs)) if normalises else func(*args, **kwargs)
        if self._has_begun and func not in POOLS and _is_map(result):
            self.last = result
        return result

    def _normalised(self, call: BatchNormCall) -> Tensor:
        """With running statistics of its own, which torch moves all the way to those of the minibatch."""
        self.variance = None
        if not call.training:
            return F.batch_norm(*call)
        mean, variance = (call.input.new_zeros(call.input.shape[1]) for _ in range(2))
        result = F.batch_norm(*call._replace(running_mean=mean, running_var=variance, momentum=1.0))
        self.variance = variance.double()
        return result


def _is_map(result: Any) -> bool:
    return isinstance(result, Tensor) and result.dim() == 4 and max(result.shape[2:]) > 1
