"""How nearly some channels of a net's maps are combinations of others."""

from collections import defaultdict
from typing import Any, ClassVar, Literal, TypeAlias, get_args

import torch
from torch import Tensor, nn

from zcfast.nets.inputs import mapped
from zcfast.passes.base import Results
from zcfast.passes.batch import Batch
from zcfast.passes.draws import Draws
from zcfast.passes.failures import ProxyError
from zcfast.passes.net import Net
from zcfast.passes.repeated import Repeated

Calls: TypeAlias = Literal["leaf", "all"]
"""Whose outputs count: of modules without children, or of every module with its nesting."""


def check_calls(calls: Any) -> None:
    """Raise a ValueError for anything but one of `Calls`."""
    if calls not in get_args(Calls):
        raise ValueError(f"calls: expected 'leaf' or 'all', got {calls!r}")


class ChannelCorrelations(Repeated):
    """Of each of several images alone, the sum of the smallest eigenvalues of its maps' correlation matrices.

    Round r takes image r through a forward pass of its own, and each call's output as channels by places. A correlation
    with a constant channel is 0, that of the channel with itself included.

    Attributes:
        calls: see `Calls`.
        channels: as many are drawn from each map, whose eigenvalue then counts by the share of them; None takes all.
    """

    reads = "inputs"
    stream = "meco"
    cost = 0.5
    calls: ClassVar[Calls] = "leaf"
    channels: ClassVar[int | None] = None

    def run(self, net: Net, batch: Batch, done: Results) -> list[float]:
        """As many rounds as there are images, and repeats at most."""
        rounds = range(min(self.repeats, batch.samples))
        return [self.once(net, batch, Draws(net.seed, self.stream, each)) for each in rounds]

    def once(self, net: Net, batch: Batch, draws: Draws) -> float:
        """The sum for one image."""
        matrices: list[Tensor] = []
        weights: list[float] = []
        maps = 0

        def see(module: nn.Module, args: Any, output: Any) -> None:
            nonlocal maps
            if not isinstance(output, Tensor) or output.dim() < 3 or not output.is_floating_point():
                return  # a vector has one place, and no correlations
            rows = output[0].detach().flatten(1)
            if not bool(rows.isfinite().all()):
                raise ProxyError("undefined", "a map of channels is not finite")
            maps += 1
            weights.append(1.0)
            if self.channels is not None and rows.shape[1] > 1:
                weights[-1] = len(rows) / self.channels
                rows = rows[_drawn(draws, str(maps), len(rows), self.channels).to(rows.device)]
            if len(rows) < rows.shape[1]:  # with fewer places, channels are combinations of others
                matrices.append(_correlations(rows.double()))
            else:
                weights.pop()

        watched = [each for each in net.modules if self.calls == "all" or not each._modules]
        image = mapped(lambda x: x[draws.round : draws.round + 1], batch.tensors()[0])
        with torch.no_grad():
            net.forward(image, [(module, see) for module in watched])
        if not maps:
            raise ProxyError("undefined", "no module puts out maps of channels")
        return _sum_of_smallest(matrices, weights)


def _drawn(draws: Draws, call: str, among: int, count: int) -> Tensor:
    if among < count:
        raise ProxyError("undefined", f"a map has {among} channels, of which {count} cannot be drawn")
    return draws.choice("channels", call, among, count)


def _correlations(rows: Tensor) -> Tensor:
    """[C, C] of channels [C, places]; 0 with what is constant."""
    centred = rows - rows.mean(1, keepdim=True)
    normed = centred / centred.norm(dim=1, keepdim=True)
    matrix: Tensor = normed @ normed.T
    return matrix.nan_to_num(0.0, 0.0, 0.0)


def _sum_of_smallest(matrices: list[Tensor], weights: list[float]) -> float:
    """The sum of the matrices' smallest eigenvalues, each by its weight; those of one size at once."""
    groups: dict[int, list[int]] = defaultdict(list)
    for place, matrix in enumerate(matrices):
        groups[len(matrix)].append(place)
    total = 0.0
    for places in groups.values():
        smallest = torch.linalg.eigvalsh(torch.stack([matrices[place] for place in places]))[:, 0]
        total += sum(weights[place] * value for place, value in zip(places, smallest.tolist(), strict=True))
    return total
