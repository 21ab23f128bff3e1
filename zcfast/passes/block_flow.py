"""What each block of a net does to its input: how rich its maps are, and how much of a gradient comes through."""

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from zcfast.nets.inputs import Inputs, first_two, mapped, only_tensor, sample_count
from zcfast.passes.batch import Batch
from zcfast.passes.blocks import blocks
from zcfast.passes.draws import Draws
from zcfast.passes.failures import ProxyError
from zcfast.passes.net import Net
from zcfast.passes.recording import gradient_checks
from zcfast.passes.redraw import kaiming_fan_in, redrawn
from zcfast.passes.repeated import Repeated

_EPSILON = 1e-8
_BLOCK = 4096  # rows


@dataclass
class FlowOfBlocks:
    """Of the stem and K blocks behind it.

    Attributes:
        entropies: K + 1 entropies of the eigenvalues of the channels' covariance, by their sum.
        singular_values: K largest singular values of what a block does to random signs backward, averaged over places;
            None of a block that gives them back as they are.
    """

    entropies: list[float]
    singular_values: list[float | None]


@dataclass
class _Map:
    """The output of a block, and the leaf that stands for it in the next one."""

    output: Tensor
    leaf: Tensor


class BlockFlow(Repeated):
    """`FlowOfBlocks`, with Kaiming weights and normal noise as inputs, or with what is given."""

    reads = "inputs"
    stream = "az_nas"
    cost = 2.0

    def once(self, net: Net, batch: Batch, draws: Draws) -> FlowOfBlocks:
        """One round."""
        inputs, _ = batch.tensors()
        if self.init == "as_is":
            return self._measured(net, inputs, draws)
        given = only_tensor(inputs)
        if given is None or not given.is_floating_point():
            raise ProxyError("undefined", "noise takes the place of one real input: give init='as_is' for others")
        noise = draws.normal("noise", "0", given.shape).to(given)
        with redrawn(net, draws, kaiming_fan_in):
            return self._measured(net, mapped(lambda x: noise, inputs), draws)

    def _measured(self, net: Net, inputs: Inputs, draws: Draws) -> FlowOfBlocks:
        if sample_count(inputs) < 2:
            raise ProxyError("undefined", "one sample has no statistics")
        maps = _outputs(net, inputs)
        entropies = [_entropy(each.leaf.detach()) for each in maps]
        last = len(maps) - 1
        values = [_singular_value(maps[k - 1], maps[k], draws, last - k) for k in range(last, 0, -1)]
        return FlowOfBlocks(entropies, values[::-1])


def _outputs(net: Net, inputs: Inputs) -> list[_Map]:
    """The maps of all blocks, the graph cut behind each."""
    ends = blocks(net, first_two(inputs))
    wanted = {(id(module), number) for module, number in ends}
    counts: dict[int, int] = {}
    maps: list[_Map] = []

    def cut(module: nn.Module, args: Any, output: Tensor) -> Tensor | None:
        number = counts[id(module)] = counts.get(id(module), -1) + 1
        if (id(module), number) not in wanted:
            return None
        leaf = output.detach().clone().requires_grad_()
        maps.append(_Map(output, leaf))
        return leaf.clone()  # the next block may write to it

    cuts = [(module, cut) for module in {id(end[0]): end[0] for end in ends}.values()]
    net.forward(inputs, [*gradient_checks(net.layers), *cuts], fast=True)
    return maps


def _entropy(maps: Tensor) -> float:
    """Of the eigenvalues of the covariance of channels over samples and places."""
    rows = _places(maps)
    rows = rows - rows.mean(0, dtype=torch.float64).to(rows)
    values = torch.linalg.eigvalsh(_products(rows, rows) / len(rows))
    shares = values / values.sum()
    return -float((shares * (shares + _EPSILON).log()).sum())


def _places(maps: Tensor) -> Tensor:
    """[samples x places, C] of [N, C, H, W]."""
    return maps.permute(0, 2, 3, 1).flatten(0, 2)


def _products(rows: Tensor, others: Tensor) -> Tensor:
    """[C, D] of two of as many rows, in float64 over blocks of the numbers' own type."""
    pairs = zip(torch.split(rows, _BLOCK), torch.split(others, _BLOCK), strict=True)
    return torch.stack([(one.T @ other).double() for one, other in pairs]).sum(0)


def _singular_value(before: _Map, after: _Map, draws: Draws, number: int) -> float | None:
    """Of the mean over places of the products of signs and of what the block makes of them backward."""
    signs = draws.signs("signs", str(number), after.output.shape).to(after.output)
    gradient: Tensor | None = None
    if after.output.requires_grad:
        (gradient,) = torch.autograd.grad(after.output, [before.leaf], signs, allow_unused=True)
    if gradient is None:
        gradient = torch.zeros_like(before.leaf)
    if gradient.shape == signs.shape and torch.equal(gradient, signs):
        return None
    factors = [size / smaller for size, smaller in zip(gradient.shape[2:], signs.shape[2:], strict=True)]
    if factors[0] != factors[1] or factors[0] != int(factors[0]):
        came = f"{tuple(gradient.shape[2:])} to {tuple(signs.shape[2:])}"
        raise ProxyError("undefined", f"a block takes maps of {came} places, not to a whole part of them")
    rows, others = _places(F.pixel_unshuffle(gradient, int(factors[0]))), _places(signs)
    mean = _products(rows, others) / len(others)
    square = mean @ mean.T if mean.shape[0] <= mean.shape[1] else mean.T @ mean
    return math.sqrt(max(torch.linalg.eigvalsh(square)[-1].item(), 0.0))
