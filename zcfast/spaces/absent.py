"""Architectures of a space that is not here, by the texts that a file has."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from zcfast.spaces.base import SearchSpace
from zcfast.spaces.cells import Texts


class AbsentSpace(SearchSpace[Texts]):
    """The name of a space and nothing else: its architectures can be read, not checked, drawn or built."""

    def __init__(self, name: str) -> None:
        """Take the name that a file has."""
        self.name = self.title = name

    def sample(self, n: int, generator: torch.Generator | None = None) -> Texts:
        """None; a ValueError for any other number."""
        if n:
            raise self._missing("draw architectures")
        return Texts(())

    def format(self, cells: Texts) -> list[str]:
        """The texts as they are."""
        return list(cells.texts)

    def parse(self, architecture: Any) -> Texts:
        """The texts as they are."""
        return Texts((architecture,) if isinstance(architecture, str) else tuple(architecture))

    def _network(self, cell: Texts, **options: Any) -> nn.Module:
        raise self._missing("build a network")

    def _missing(self, purpose: str) -> ValueError:
        return ValueError(f"{self.name}: expected the space to {purpose}, got texts of a file alone; give the space")
