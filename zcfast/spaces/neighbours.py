"""Ragged lists of neighbours, and the graph of a whole space."""

from dataclasses import dataclass

import torch
from torch import Tensor

from zcfast.errors import check_kind


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The architectures one edit away from each of N: ids[offsets[i] : offsets[i + 1]] are those of the i-th.

    offsets: int64 [N + 1]. ids: int64 [E], positions in the space's ``enumerate()``, distinct and rising within each
    list, the architecture itself left out.
    """

    offsets: Tensor
    ids: Tensor

    @classmethod
    def of_rows(cls, ids: Tensor, counts: Tensor) -> "Neighbours":
        """From rows [N, K] that are filled from the left and -1 behind."""
        return cls(torch.cat([counts.new_zeros(1), counts.cumsum(0)]), ids[ids >= 0].to(torch.int64))

    def __len__(self) -> int:
        """Number of lists."""
        return len(self.offsets) - 1

    def __getitem__(self, i: int) -> Tensor:
        """The i-th list."""
        start, end = self.offsets[range(len(self))[i]].item(), self.offsets[range(len(self))[i] + 1].item()
        return self.ids[int(start) : int(end)]

    @property
    def counts(self) -> Tensor:
        """Length of each list, int64 [N]."""
        return self.offsets.diff()

    def draw(self, generator: torch.Generator | None = None) -> Tensor:
        """One neighbour of each, uniformly, int64 [N]; -1 where there is none."""
        check_generator(generator)
        counts = self.counts
        uniform = torch.rand(len(self), dtype=torch.float64, generator=generator).to(counts.device)
        chosen = (self.offsets[:-1] + (uniform * counts).long()).clamp(max=max(len(self.ids) - 1, 0))
        if not len(self.ids):
            return torch.full_like(counts, -1)
        return torch.where(counts > 0, self.ids[chosen], -1)

    def symmetrised(self) -> "Neighbours":
        """The graph of a whole space with every edge in both directions."""
        n = len(self)
        source = torch.repeat_interleave(torch.arange(n, device=self.ids.device), self.counts)
        codes = torch.unique(torch.cat([source * n + self.ids, self.ids * n + source]))
        counts = torch.bincount(codes // n, minlength=n)
        return Neighbours(torch.cat([counts.new_zeros(1), counts.cumsum(0)]), codes % n)


def check_generator(generator: torch.Generator | None) -> None:
    """Raise a ValueError for a seed, or anything else, in place of a generator."""
    if generator is not None:
        check_kind("generator", generator, torch.Generator)
