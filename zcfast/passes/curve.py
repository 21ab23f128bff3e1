"""How sharply the outputs of a net turn along a circle of inputs, and how one image's maps spread over directions."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from zcfast.nets.inputs import Inputs, mapped, only_tensor
from zcfast.passes.batch import Batch
from zcfast.passes.channel_correlations import Calls
from zcfast.passes.draws import Draws
from zcfast.passes.failures import ProxyError
from zcfast.passes.net import Net
from zcfast.passes.recording import check_graph, gradient_checks
from zcfast.passes.repeated import Repeated

_LOGITS = 10  # drawn ones, between which the circle's image turns


@dataclass(frozen=True)
class CurveOfNet:
    """Of one round.

    Attributes:
        spread: sum over maps, channels by places, of the smallest by the largest singular value.
        curvature: extrinsic, of what the net makes of a circle, where it begins.
    """

    spread: float
    curvature: float


class Curve(Repeated):
    """`CurveOfNet`: of one image of the minibatch a round, alone, and of a circle through two drawn ones.

    The circle is cos(t) u + sin(t) v at t = 0, u and v orthonormal normal draws of an image's shape.

    Attributes:
        calls: whose outputs count: of modules without children, or of every module with its nesting.
    """

    reads = "inputs"
    stream = "dextr"
    cost = 6.0
    calls: ClassVar[Calls] = "leaf"

    def run(self, net: Net, batch: Batch, done: Any) -> list[CurveOfNet]:
        """As many rounds as there are images, and repeats at most."""
        rounds = range(min(self.repeats, batch.samples))
        return [self.once(net, batch, Draws(net.seed, self.stream, each)) for each in rounds]

    def once(self, net: Net, batch: Batch, draws: Draws) -> CurveOfNet:
        """The spread of an image, and the curvature."""
        inputs, _ = batch.tensors()
        given = only_tensor(inputs)
        if given is None or not given.is_floating_point():
            raise ProxyError("undefined", "a circle runs through one real input, and this net has others")
        image = mapped(lambda x: x[draws.round : draws.round + 1], inputs)
        return CurveOfNet(_spread(net, image, self.calls), _curvature(net, batch, image, given[:1], draws))


def _spread(net: Net, image: Inputs, calls: Calls) -> float:
    ratios: list[float] = []

    def see(module: nn.Module, args: Any, output: Any) -> None:
        if isinstance(output, Tensor) and output.dim() > 1 and output.is_floating_point():
            rows = output[0].detach().flatten(1) if output.dim() > 2 else output[0].detach()[:, None]
            if not bool(rows.isfinite().all()):
                raise ProxyError("undefined", "a map is not finite")
            values = torch.linalg.svdvals(rows.double())
            ratios.append((values[-1] / values[0]).item() if len(values) and values[0] > 0 else 0.0)

    watched = [each for each in net.modules if calls == "all" or not each._modules]
    with torch.no_grad():
        net.forward(image, [(module, see) for module in watched])
    return math.fsum(ratios)


def _curvature(net: Net, batch: Batch, inputs: Inputs, image: Tensor, draws: Draws) -> float:
    """|v|^-3 sqrt(|v|^2 |a|^2 - (v a)^2), v and a the first two derivatives of some logits along the circle."""
    first, second = (draws.normal("noise", name, image.shape).to(image) for name in ("0", "1"))
    first = first / first.norm()
    second = second - (first * second).sum() * first
    second = second / second.norm()
    angle = torch.zeros((), dtype=image.dtype, device=image.device, requires_grad=True)
    circle = mapped(lambda x: angle.cos() * first + angle.sin() * second, inputs)
    logits = batch.found_logits(net.forward(circle, gradient_checks(net.layers)), 1).flatten()
    check_graph(logits, [angle])
    velocities, accelerations = zip(
        *(_derivatives(each, angle) for each in logits[_drawn(draws, len(logits))]), strict=True
    )
    v, a = torch.tensor(velocities, dtype=torch.float64), torch.tensor(accelerations, dtype=torch.float64)
    if not bool(v.any()):
        raise ProxyError("undefined", "no logit moves along a circle of inputs")
    square = (v @ v) * (a @ a) - (v @ a) ** 2
    return (square.clamp(min=0).sqrt() / (v @ v) ** 1.5).item()


def _drawn(draws: Draws, logits: int) -> Tensor:
    """Ten different logits, or all of fewer, over and over."""
    if logits < _LOGITS:
        return torch.arange(_LOGITS) % logits
    return draws.choice("logits", "0", logits, _LOGITS)


def _derivatives(value: Tensor, angle: Tensor) -> tuple[float, float]:
    """The first two; 0 where there is none."""
    found: list[float] = []
    for _ in range(2):
        if not value.requires_grad:
            break
        (derivative,) = torch.autograd.grad(value, angle, create_graph=True, retain_graph=True, allow_unused=True)
        if derivative is None:
            break
        found.append(derivative.item())
        value = derivative
    velocity, acceleration = [*found, 0.0, 0.0][:2]
    return velocity, acceleration
