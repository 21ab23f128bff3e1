"""How many patterns of signs over the samples the single activations show."""

from collections.abc import Sequence
from typing import ClassVar, TypeAlias

import numpy as np
import torch
from torch import Tensor

from zcfast.passes.base import Pass, Results
from zcfast.passes.batch import Batch
from zcfast.passes.draws import Draws
from zcfast.passes.failures import ProxyError
from zcfast.passes.forward import Forward
from zcfast.passes.net import Net
from zcfast.passes.observation import Observation
from zcfast.passes.rectifiers import SeeRectifiers
from zcfast.passes.redraw import redrawn, unit
from zcfast.passes.relu_patterns import NO_ACTIVATION, other_rows
from zcfast.passes.repeated import Repeated

Codes: TypeAlias = "np.ndarray[tuple[int, ...], np.dtype[np.uint64]]"
"""[D, words]: of each of D places, the bits of its signs over the samples."""
Seen: TypeAlias = "tuple[int, Codes] | None"
"""How many rows an activation had, and its codes; None of one left out."""


class SignPatterns(Pass):
    """The number of different patterns of a minibatch: of each place of all activations, which samples are above zero.

    Attributes:
        whole: False takes outputs [N, C, H, W] alone; True those of any rank, and tells signs -1, 0 and 1 apart.
    """

    requires = (Forward,)
    reads = "inputs"
    whole: ClassVar[bool] = False

    def __init__(self) -> None:
        """Begin with none."""
        self.codes: Sequence[Seen] = []

    def observe(self, forward: Observation) -> None:
        """Watch the activations."""
        self.codes = forward.watch_rectifiers(lambda output: _packed(output, self.whole))

    def run(self, net: Net, batch: Batch, done: Results) -> int:
        """Count them."""
        return _different(self.codes, batch.samples)


class WholeSignPatterns(SignPatterns):
    """Of outputs of any rank, with three signs."""

    whole = True


class DrawnSignPatterns(Repeated):
    """`SignPatterns` of the minibatch with standard-normal weights."""

    reads = "inputs"
    stream = "swap"
    cost = 1.0

    def once(self, net: Net, batch: Batch, draws: Draws) -> int:
        """Count those of one draw."""
        seen: list[Seen] = []
        inputs, _ = batch.tensors()
        watch = SeeRectifiers(lambda call: seen.append(_packed(call.output.detach(), False)))
        with torch.no_grad(), redrawn(net, draws, unit), watch:
            net.forward(inputs)
        return _different(seen, batch.samples)


def _packed(output: Tensor, whole: bool) -> Seen:
    """The codes of an output [N, ...], N bits a place, or twice as many with three signs."""
    if output.sum().isnan():
        raise ProxyError("undefined", "the output of an activation is not a number")
    if not whole and output.dim() != 4:
        return None
    rows = output.reshape(len(output), -1)
    signs = torch.cat([rows > 0, rows < 0]) if whole else rows > 0
    bits = np.packbits(signs.cpu().numpy(), axis=0)
    places = bits.shape[1]
    codes = np.zeros((places, -(-len(bits) // 8) * 8), dtype=np.uint8)
    codes[:, : len(bits)] = bits.T
    return len(output), codes.view(np.uint64)


def _different(seen: Sequence[Seen], samples: int) -> int:
    """How many different codes there are."""
    if samples < 2:
        raise ProxyError("undefined", "one sample has no patterns over samples")
    taken = [each for each in seen if each is not None]
    if not taken:
        raise NO_ACTIVATION.as_error()
    for rows, _ in taken:
        if rows != samples:
            raise other_rows(rows, samples)
    codes = np.concatenate([each for _, each in taken])
    return len(np.unique(codes, axis=0 if codes.shape[1] > 1 else None))
