"""Proxies whose score is the mean over several rounds of random draws."""

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import get_args

import torch
from torch import Tensor

from zcfast.errors import integer
from zcfast.passes.base import Results
from zcfast.passes.repeated import Init
from zcfast.proxies.base import Proxy


@dataclass(frozen=True)
class RepeatedProxy(Proxy):
    """A proxy that overrides `rounds` in place of `value`. It may have an option `init` too.

    Attributes:
        repeats: how many rounds.
    """

    sums_layers = False

    repeats: int = 1

    def __post_init__(self) -> None:
        """Check the options."""
        if integer("repeats", self.repeats) < 1:
            raise ValueError(f"repeats: expected a number >= 1, got {self.repeats}")
        init, known = getattr(self, "init", "official"), get_args(Init)
        if init not in known:
            raise ValueError(f"init: expected {' or '.join(map(repr, known))}, got {init!r}")

    @abstractmethod
    def rounds(self, results: Results) -> Tensor:
        """[R] float64: the score of each round."""

    def value(self, results: Results) -> float:
        """The mean."""
        return self.rounds(results).mean().item()

    def standard_error(self, results: Results) -> float | None:
        """Of the mean; None of a single round, and where a round is infinite."""
        rounds = self.rounds(results)
        if len(rounds) < 2 or not rounds.isfinite().all():
            return None
        return float(torch.std(rounds)) / math.sqrt(len(rounds))
