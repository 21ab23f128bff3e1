"""Random numbers of many runs at once: a function of seed, run, step and draw, with no state of its own."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import torch
from torch import Tensor

from zcfast import search_ops
from zcfast.search_ops import GOLDEN, mix, mixed, numbers_below, shifted, unit_interval

_ROUNDS = 6  # of the Feistel network behind a permutation
_CHUNK = 1 << 15  # places that are computed at once: they fit into the caches


@dataclass(frozen=True)
class Streams:
    """One stream of random numbers a run.

    keys: int64 [R]. What run r draws at a step depends on its key alone, so it is the same beside any number of other
    runs, on any device and with any number of threads.
    Source: the finaliser of splitmix64 (Steele, Lea and Flood, OOPSLA 2014), used as a counter-based generator.
    """

    keys: Tensor

    @classmethod
    def of(cls, seed: int, runs: int, first_run: int = 0, device: torch.device | str = "cpu") -> Streams:
        """The streams of runs first_run to first_run + runs - 1 under a seed."""
        numbers = torch.arange(first_run, first_run + runs, device=device)
        return cls(mix(numbers * GOLDEN + mixed(seed)))

    def __len__(self) -> int:
        """Return the number of runs."""
        return len(self.keys)

    def fork(self, purpose: str) -> Streams:
        """Streams of the same runs that share no number with these, for draws of another purpose."""
        return Streams(mix(self.keys + mixed(zlib.crc32(purpose.encode()))))

    def bits(self, step: int, draws: int) -> Tensor:
        """64 random bits each, int64 [R, draws]."""
        return search_ops.stream_bits(self.keys, step, draws)

    def uniform(self, step: int, draws: int) -> Tensor:
        """Multiples of 2^-53 in [0, 1), float64 [R, draws]."""
        return unit_interval(self.bits(step, draws))

    def below(self, step: int, draws: int, n: int | Tensor) -> Tensor:
        """Integers from 0 to n - 1, int64 [R, draws]; n is a number or an int64 tensor that broadcasts, >= 1."""
        return numbers_below(self.bits(step, draws), n)

    def permutation(self, n: int, start: int, stop: int) -> Tensor:
        """Places start to stop - 1 of a random order of 0 to n - 1, int64 [R, stop - start], without the other places.

        A Feistel network permutes the next power of two; what falls behind n is permuted again until it does not
        (Black and Rogaway, "Ciphers with Arbitrary Finite Domains", CT-RSA 2002).
        """
        if not 0 <= start <= stop <= n:
            raise ValueError(f"places: expected 0 <= start <= stop <= {n}, got {start} and {stop}")
        size = max(_CHUNK // max(stop - start, 1), 1)
        parts = [_places(keys, n, start, stop) for keys in torch.split(self.fork("permutation").bits(0, _ROUNDS), size)]
        return torch.cat(parts)


def _places(keys: Tensor, n: int, start: int, stop: int) -> Tensor:
    """Permuted places [M, stop - start] of round keys [M, rounds]."""
    values = _permuted(torch.arange(start, stop, device=keys.device).expand(len(keys), -1), keys[:, None], n)
    flat = values.reshape(-1)
    outside = (flat >= n).nonzero().flatten()
    while len(outside):
        again = _permuted(flat[outside], keys[outside // (stop - start)], n)
        flat[outside] = again
        outside = outside[again >= n]
    return flat.reshape(len(keys), stop - start)


def _permuted(values: Tensor, keys: Tensor, n: int) -> Tensor:
    """A permutation of the numbers of as many bits as n - 1 has; values [...], keys [..., rounds]."""
    bits = max((n - 1).bit_length(), 2)
    widths = (bits // 2, bits - bits // 2)
    halves = [values & ((1 << widths[0]) - 1), values >> widths[0]]
    for number in range(_ROUNDS):
        to, by = number % 2, 1 - number % 2
        halves[to] = halves[to] ^ shifted(mix(halves[by] + keys[..., number]), 64 - widths[to])
    return halves[0] | halves[1] << widths[0]
