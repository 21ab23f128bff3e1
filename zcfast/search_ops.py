"""Typed wrappers, fake kernels and the plain PyTorch meaning of the search operators; csrc/library.cpp has the schemas.

Random bits have the same plain function on devices without a kernel; evolution is then advanced by ask and tell.
"""

import torch
from torch import Tensor

from zcfast import _native

_ops = torch.ops.zcfast
_MASK = (1 << 64) - 1
_FIRST, _SECOND = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB  # of splitmix64
GOLDEN = 0x9E3779B97F4A7C15 - (1 << 64)  # its increment, as a signed integer


def stream_bits(keys: Tensor, step: int, draws: int) -> Tensor:
    """64 random bits for each run and draw at one step, int64 [R, draws]; keys int64 [R]."""
    if not _native.has_kernel("stream_bits", keys.device.type):
        return plain_stream_bits(keys, step, draws)
    bits: Tensor = _ops.stream_bits(keys, step, draws)
    return bits


def evolve(
    keys: Tensor,
    asked: int,
    steps: int,
    pool: tuple[Tensor, Tensor, Tensor],
    tournament: int,
    graph: tuple[Tensor, Tensor],
    moves: Tensor | None,
    ratio: float,
    values: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """`steps` trainings of ageing evolution by look-up of values [N], as ask and tell make them one by one.

    pool: the first proposals, the pool's rows and accuracies, [R, P] each; graph: offsets and ids of the neighbours.
    Gives the rows trained, int64 [R, steps], and the pool's rows and accuracies afterwards.
    """
    trained, rows, accuracies = _ops.evolve(keys, asked, steps, *pool, tournament, *graph, moves, ratio, values)
    return trained, rows, accuracies


def plain_stream_bits(keys: Tensor, step: int, draws: int) -> Tensor:
    """See `stream_bits`."""
    at_step = mix(keys + mixed(step))
    return mix(at_step[:, None] + torch.arange(1, draws + 1, device=keys.device) * GOLDEN)


def tournament(keys: Tensor, step: int, accuracies: Tensor, size: int) -> Tensor:
    """The slot of the highest accuracy among `size` members of each pool, drawn without replacement, int64 [R].

    keys int64 [R], accuracies float64 [R, P]. Of equal accuracies the first drawn wins; -1 where all are NaN or -inf.
    Source: R. Floyd's way to draw without replacement (Bentley and Floyd, CACM 1987).
    """
    pool = accuracies.shape[1]
    bounds = torch.arange(pool - size + 1, pool + 1, device=keys.device)
    numbers = numbers_below(stream_bits(keys, step, size), bounds)
    for draw in range(1, size):
        taken = (numbers[:, :draw] == numbers[:, draw : draw + 1]).any(1)
        numbers[:, draw] = torch.where(taken, bounds[draw] - 1, numbers[:, draw])
    drawn = accuracies.gather(1, numbers)
    drawn = torch.where(drawn.isnan(), -torch.inf, drawn)
    best = (drawn == drawn.amax(1, keepdim=True)) & (drawn > -torch.inf)
    places = torch.where(best, torch.arange(size, device=keys.device), size).amin(1)
    slots = numbers.gather(1, places.clamp(max=size - 1)[:, None])[:, 0]
    return torch.where(places < size, slots, -1)


def unit_interval(bits: Tensor) -> Tensor:
    """Multiples of 2^-53 in [0, 1) from random bits, float64."""
    return shifted(bits, 11).double() * 2.0**-53


def numbers_below(bits: Tensor, n: int | Tensor) -> Tensor:
    """Integers from 0 to n - 1 from random bits."""
    numbers = (unit_interval(bits) * n).long()
    return torch.minimum(numbers, n - 1) if isinstance(n, Tensor) else numbers.clamp(max=n - 1)


def mix(x: Tensor) -> Tensor:
    """The finaliser of splitmix64 (Steele, Lea and Flood, OOPSLA 2014)."""
    x = (x ^ shifted(x, 30)) * _signed(_FIRST)
    x = (x ^ shifted(x, 27)) * _signed(_SECOND)
    return x ^ shifted(x, 31)


def shifted(x: Tensor, places: int) -> Tensor:
    """Shifted to the right with zeros from the left: torch's own shift repeats the sign."""
    return x >> places & ((1 << (64 - places)) - 1)


def mixed(number: int) -> int:
    """The hash of a number >= 0, by the same function of Python integers."""
    x = (number + 1) * GOLDEN & _MASK
    x = (x ^ x >> 30) * _FIRST & _MASK
    x = (x ^ x >> 27) * _SECOND & _MASK
    return _signed(x ^ x >> 31)


def _signed(x: int) -> int:
    return x - (1 << 64) if x >> 63 else x


@torch.library.register_fake("zcfast::stream_bits")
def _(keys: Tensor, step: int, draws: int) -> Tensor:
    return keys.new_empty((keys.shape[0], draws))


@torch.library.register_fake("zcfast::evolve")
def _(
    keys: Tensor, asked: int, steps: int, initial: Tensor, rows: Tensor, accuracies: Tensor, *space: object
) -> tuple[Tensor, Tensor, Tensor]:
    return keys.new_empty((keys.shape[0], steps)), torch.empty_like(rows), torch.empty_like(accuracies)
