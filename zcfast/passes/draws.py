"""Random numbers of proxies: functions of seed, proxy, round, purpose, name and shape, so the same for all nets."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Draws:
    """The random numbers of one round of one pass, drawn on the CPU; no generator of the process is touched.

    Each tensor has a stream of its own (Philox, keyed by all that it depends on): layers of one name and shape have the
    same draws in all nets.

    Attributes:
        seed: the user's.
        stream: the proxy.
        round: the repeat, from 0.
    """

    seed: int
    stream: str
    round: int

    def normal(self, purpose: str, name: str, shape: Sequence[int]) -> Tensor:
        """Standard-normal numbers, float32: one draw for every device and data type."""
        values = self._generator(purpose, name, shape).standard_normal(tuple(shape), dtype=np.float32)
        return torch.from_numpy(np.asarray(values))

    def signs(self, purpose: str, name: str, shape: Sequence[int]) -> Tensor:
        """Numbers -1 and 1 with equal probability, float32."""
        values = self._generator(purpose, name, shape).integers(0, 2, tuple(shape), dtype=np.int8)
        return torch.from_numpy(np.asarray(values)).float().mul_(2).sub_(1)

    def choice(self, purpose: str, name: str, among: int, count: int) -> Tensor:
        """`count` different ones of the numbers 0 to `among` - 1, in rising order, int64."""
        order = self._generator(purpose, name, (among,)).permutation(among)
        return torch.from_numpy(np.sort(order[:count]))

    def _generator(self, purpose: str, name: str, shape: Sequence[int]) -> np.random.Generator:
        key = repr((self.seed, self.stream, self.round, purpose, name, tuple(shape)))
        digest = hashlib.sha256(key.encode()).digest()
        return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))
