"""How many patterns of signs over the samples the single activations show."""

from collections.abc import Sequence
from typing import ClassVar, TypeAlias

import numpy as np
import torch
from torch import Tensor

from zcfast.passes.base import Pass, Results
from zcfast.passes.batch import Batch
from zcfast.passes.draws import Draws
from zcfast.passes.failures import Failure, ProxyError
from zcfast.passes.forward import Forward
from zcfast.passes.net import Net
from zcfast.passes.observation import Observation
from zcfast.passes.rectifiers import RectifierCall, SeeRectifiers, as_rows
from zcfast.passes.redraw import redrawn, unit
from zcfast.passes.relu_patterns import NO_ACTIVATION, other_rows
from zcfast.passes.repeated import Repeated

Codes: TypeAlias = list[Tensor]
"""Words of int64, each [D]: of each of D places, the bits of its signs over the samples."""
Seen: TypeAlias = tuple[int, Codes] | None
"""How many rows an activation had, and its codes; None of one left out."""

NO_MAPS = Failure("undefined", "no activation put out maps [N, C, H, W]; swap_universal takes all others")
_PART = 24  # samples whose bits a float32 holds
_WORD = 2 * _PART


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
        self.codes = forward.watch_calls(lambda call: _packed(call, self.whole))

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
        watch = SeeRectifiers(lambda call: seen.append(_packed(call, False)))
        with torch.no_grad(), redrawn(net, draws, unit):
            net.forward(inputs, modes=[watch], fast=True)
        return _different(seen, batch.samples)


def _packed(call: RectifierCall, whole: bool) -> Seen:
    """The codes of an output [N, ...], N bits a place, or twice as many with three signs."""
    output = call.output.detach()
    if not whole and output.dim() != 4:
        return None
    signs = [call.above, as_rows(output < 0).to(torch.float32)] if whole else [call.above]
    return len(output), [word for each in signs for word in _words(each)]


def _words(bits: Tensor) -> Codes:
    """[D] numbers of the columns of [N, D], of as many rows as a word holds at a time."""
    words = []
    for start in range(0, len(bits), _WORD):
        word = torch.zeros(bits.shape[1], dtype=torch.int64, device=bits.device)
        for place in range(start, min(start + _WORD, len(bits)), _PART):
            part = bits[place : min(place + _PART, start + _WORD)]
            powers = 2.0 ** torch.arange(len(part), dtype=torch.float32, device=bits.device)
            word += powers[None].mm(part)[0].to(torch.int64) << (place - start)
        words.append(word)
    return words


def _different(seen: Sequence[Seen], samples: int) -> int:
    """How many different codes there are."""
    if samples < 2:
        raise ProxyError("undefined", "one sample has no patterns over samples")
    taken = [each for each in seen if each is not None]
    if not taken:
        raise (NO_MAPS if seen else NO_ACTIVATION).as_error()
    for rows, _ in taken:
        if rows != samples:
            raise other_rows(rows, samples)
    words = [torch.cat(each) for each in zip(*(codes for _, codes in taken), strict=True)]
    numbers = words[0]
    for word in words[1:]:  # pairs of what came so far and one more word
        _, before = torch.unique(numbers, return_inverse=True)
        different, own = torch.unique(word, return_inverse=True)
        numbers = before * len(different) + own
    ordered = np.sort(numbers.cpu().numpy())  # several times faster than what counts at once
    return int(np.count_nonzero(ordered[1:] != ordered[:-1])) + (len(ordered) > 0)
