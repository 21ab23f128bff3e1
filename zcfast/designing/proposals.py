"""Where proposals of architectures come from where no study makes them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from zcfast.errors import unknown
from zcfast.scoring.store import Row
from zcfast.spaces import Enumerated, SearchSpace

SAMPLERS = {
    "nsga2": "NSGAIISampler",
    "nsga3": "NSGAIIISampler",
    "gp": "GPSampler",
    "tpe": "TPESampler",
    "qmc": "QMCSampler",
    "random": "RandomSampler",
    "brute_force": "BruteForceSampler",
}


def check_sampler(sampler: Any) -> None:
    """Raise a ValueError unless it is one of Optuna's, by name or as an object."""
    if isinstance(sampler, type):
        raise ValueError(f"sampler: expected one of Optuna's as an object, got the class {sampler.__name__}")
    if sampler is not None and sampler not in list(SAMPLERS) and not hasattr(sampler, "sample_relative"):
        raise unknown("sampler", sampler, SAMPLERS)


class Proposals(ABC):
    """Architectures to look at, in batches: the next batch may depend on what came of the last.

    Attributes:
        learns: whether it is told what came of a batch.
    """

    learns = False

    def begin(self, claims: str) -> dict[str, Row]:
        """What an earlier run found, by proposal; `claims` is a checksum of what a row depends on beside it."""
        return {}

    @abstractmethod
    def next(self, n: int) -> list[str]:
        """At most n proposals, which may be known ones; none where there are no more."""

    def tell(self, proposals: Sequence[str], rows: Sequence[Row], scores: Sequence[Sequence[float] | None]) -> None:
        """What came of the last batch: rows, and scores to maximise, None for an architecture without any."""
        return None

    def keep(self, rows: Mapping[str, Row]) -> None:
        """Keep what came of a part of the last batch, by proposal, for the run that goes on from here."""
        return None


class Listed(Proposals):
    """All architectures of a space in its own order, or some of them drawn."""

    def __init__(self, space: SearchSpace[Any], most: int, seed: int) -> None:
        """Take the space and how many are wanted."""
        cells = space.capability(Enumerated).enumerate()
        if most < len(cells):
            rows = torch.randperm(len(cells), generator=torch.Generator().manual_seed(seed))[:most]
            cells = cells[rows.sort().values]
        self._texts = space.format(cells)

    def next(self, n: int) -> list[str]:
        """The next n texts."""
        texts, self._texts = self._texts[:n], self._texts[n:]
        return texts


class Drawn(Proposals):
    """Architectures as the space draws them, for one that has no choices to set."""

    def __init__(self, space: SearchSpace[Any], seed: int) -> None:
        """Take the space."""
        self._space, self._generator = space, torch.Generator().manual_seed(seed)

    def next(self, n: int) -> list[str]:
        """n texts."""
        return self._space.format(self._space.sample(n, self._generator))
