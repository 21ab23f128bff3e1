"""Random numbers of many runs at once: a function of seed, run, step and draw, with no state of its own."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import torch
from torch import Tensor

_MASK = (1 << 64) - 1
_GOLDEN, _FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB  # of splitmix64
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
        return cls(_mix(numbers * _signed(_GOLDEN) + _mixed(seed)))

    def __len__(self) -> int:
        """Return the number of runs."""
        return len(self.keys)

    def fork(self, purpose: str) -> Streams:
        """Streams of the same runs that share no number with these, for draws of another purpose."""
        return Streams(_mix(self.keys + _mixed(zlib.crc32(purpose.encode()))))

    def bits(self, step: int, draws: int) -> Tensor:
        """64 random bits each, int64 [R, draws]."""
        at_step = _mix(self.keys + _mixed(step))
        counts = torch.arange(1, draws + 1, device=self.keys.device) * _signed(_GOLDEN)
        return _mix(at_step[:, None] + counts)

    def uniform(self, step: int, draws: int) -> Tensor:
        """Multiples of 2^-53 in [0, 1), float64 [R, draws]."""
        return _shifted(self.bits(step, draws), 11).double() * 2.0**-53

    def below(self, step: int, draws: int, n: int | Tensor) -> Tensor:
        """Integers from 0 to n - 1, int64 [R, draws]; n is a number or an int64 tensor that broadcasts, >= 1."""
        return torch.minimum((self.uniform(step, draws) * n).long(), torch.as_tensor(n, device=self.keys.device) - 1)

    def permutation(self, n: int, start: int, stop: int) -> Tensor:
        """Places start to stop - 1 of a random order of 0 to n - 1, int64 [R, stop - start], without the other places.

        A Feistel network permutes the next power of two; what falls behind n is permuted again until it does not
        (Black and Rogaway, "Ciphers with Arbitrary Finite Domains", CT-RSA 2002).
        """
        if not 0 <= start <= stop <= n:
            raise ValueError(f"places: expected 0 <= start <= stop <= {n}, got {start} and {stop}")
        size = max(_CHUNK // max(stop - start, 1), 1)
        parts = [_places(keys, n, start, stop) for keys in torch.split(self.bits(0, _ROUNDS), size)]
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
        halves[to] = halves[to] ^ _shifted(_mix(halves[by] + keys[..., number]), 64 - widths[to])
    return halves[0] | halves[1] << widths[0]


def _mix(x: Tensor) -> Tensor:
    x = (x ^ _shifted(x, 30)) * _signed(_FIRST)
    x = (x ^ _shifted(x, 27)) * _signed(_SECOND)
    return x ^ _shifted(x, 31)


def _shifted(x: Tensor, places: int) -> Tensor:
    """Shifted to the right with zeros from the left: torch's own shift repeats the sign."""
    return x >> places & ((1 << (64 - places)) - 1)


def _mixed(number: int) -> int:
    """The number's hash, by the same function of Python integers."""
    x = (number + 1) * _GOLDEN & _MASK
    x = (x ^ x >> 30) * _FIRST & _MASK
    x = (x ^ x >> 27) * _SECOND & _MASK
    return _signed(x ^ x >> 31)


def _signed(x: int) -> int:
    return x - (1 << 64) if x >> 63 else x
