"""Spaces of cells in a network of images, all of which are listed."""

import dataclasses
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from zcfast.errors import integer
from zcfast.nets.options import with_options
from zcfast.spaces.base import WEIGHTS, Example, SearchSpace
from zcfast.spaces.capabilities import Enumerated, NeighbourGraph, Sizes
from zcfast.spaces.cells import Cells
from zcfast.spaces.neighbours import Neighbours, check_generator

CellsT = TypeVar("CellsT", bound=Cells)


class CellSpace(SearchSpace[CellsT], Enumerated, NeighbourGraph, Sizes):
    """A finite space of cells; the network around one takes square images.

    Attributes:
        cells: the type of a batch.
        network: the default options of the network around a cell: a dataclass with classes, resolution and
            image_channels among its fields.
    """

    cells: type[Cells]
    network: Any
    initialisation: str

    @property
    def options(self) -> Mapping[str, Any]:  # type: ignore[override]
        """The network's, how its weights are drawn, and whether it has BatchNorm."""
        network = dataclasses.asdict(self.network)
        return {**network, "initialisation": self.initialisation, "batch_norm": True}

    @property
    def example(self) -> Example:  # type: ignore[override]
        """One image of ones of the default network."""
        return self.example_with({})

    def example_with(self, options: Mapping[str, Any]) -> Example:
        """One image of ones of the network with these options."""
        full = self.network_with(options)
        inputs = torch.ones(1, full.image_channels, full.resolution, full.resolution)
        return Example(inputs, torch.zeros(1, dtype=torch.int64))

    @property
    def minibatch(self) -> None:
        """The networks fit any images, which have to be given."""
        return None

    def fitting(self, batch: Any, options: dict[str, Any]) -> dict[str, Any]:
        """Resolution, channels and classes are those of the images."""
        inputs, targets = batch
        if not isinstance(inputs, Tensor):
            raise ValueError(f"images: expected one tensor of images, got a {type(inputs).__name__}")
        if inputs.dim() != 4 or inputs.shape[2] != inputs.shape[3] or not inputs.is_floating_point() or not len(inputs):
            raise ValueError(f"images: expected floats [B, channels, H, H], got {inputs.dtype} {list(inputs.shape)}")
        if targets.shape != inputs.shape[:1] or targets.dtype != torch.int64:
            raise ValueError(f"targets: expected int64 [{len(inputs)}], got {targets.dtype} {list(targets.shape)}")
        fitting = {"resolution": inputs.shape[2], "image_channels": inputs.shape[1]}
        if batch.classes is not None:
            fitting["classes"] = batch.classes
        for name, value in fitting.items():
            if options.get(name, value) != value:
                raise ValueError(f"{name}: expected {value}, that of the images, got {options[name]}")
        network = self.network_with({**options, **fitting})
        low, high = int(targets.min()), int(targets.max())
        if low < 0 or high >= network.classes:
            expected = f"targets below the number of classes, {network.classes}"
            raise ValueError(f"classes: expected {expected}, got targets from {low} to {high}")
        return {**options, **fitting}

    @abstractmethod
    def _cell_network(self, cell: CellsT, options: Any, batch_norm: bool) -> nn.Module:
        """The network around one valid cell, its weights not yet drawn."""

    def _network(self, cell: CellsT, **options: Any) -> nn.Module:
        batch_norm = options.pop("batch_norm", True)
        if not isinstance(batch_norm, bool):
            raise ValueError(f"batch_norm: expected True or False, got {batch_norm!r}")
        return self._cell_network(cell, self.network_with(options), batch_norm)

    def network_with(self, options: Mapping[str, Any]) -> Any:
        """``network`` with some options replaced; a ValueError names one that it does not have or that cannot be."""
        return with_options(self.network, options)

    def check_options(self, options: Mapping[str, Any]) -> None:
        """Raise a ValueError for an option that ``build`` does not take or that cannot be."""
        self.network_with({name: value for name, value in options.items() if name not in WEIGHTS})

    def network_options(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """All fields of the network."""
        return dataclasses.asdict(self.network_with(options))

    def is_valid(self, cells: CellsT) -> Tensor:
        """Whether each encoding is an architecture of the space, bool [N]; ``reasons`` says why not."""
        return self.index(cells) >= 0

    def require_index(self, cells: CellsT) -> Tensor:
        """Position in ``enumerate()``; a ValueError names the first invalid row and its reason."""
        index = self.index(cells)
        if bool((index < 0).any()):
            self.require_valid(cells)
        return index

    def seeds(self, cells: CellsT) -> list[str]:
        """The position in ``enumerate()``: isomorphic cells have the same weights."""
        return [str(index) for index in self.index(cells).tolist()]

    def sample(self, n: int, generator: torch.Generator | None = None) -> CellsT:
        """``n`` architectures drawn uniformly, with replacement, from ``enumerate()``."""
        check_generator(generator)
        if integer("n", n) < 0:
            raise ValueError(f"n: expected a number of architectures >= 0, got {n}")
        drawn: CellsT = self.enumerate()[torch.randint(len(self), (n,), generator=generator)]
        return drawn

    def sample_distinct(self, n: int, generator: torch.Generator | None = None) -> CellsT:
        """``n`` different architectures drawn uniformly from ``enumerate()``; a ValueError where it has fewer."""
        check_generator(generator)
        if integer("n", n) < 0:
            raise ValueError(f"n: expected a number of architectures >= 0, got {n}")
        if n > len(self):
            raise ValueError(f"n: expected at most {len(self)} architectures, the size of {self.name}, got {n}")
        drawn: CellsT = self.enumerate()[torch.randperm(len(self), generator=generator)[:n]]
        return drawn

    def neighbour_graph(self, relation: str | None = None, symmetric: bool = False) -> Neighbours:
        """``neighbours`` of every architecture; ``symmetric`` adds the edges that lead back."""
        options = {} if relation is None else {"relation": relation}
        graph = self.neighbours(self.enumerate(), **options)
        return graph.symmetrised() if symmetric else graph

    def mutate(self, cells: CellsT, generator: torch.Generator | None = None) -> CellsT:
        """One neighbour of each architecture, drawn uniformly; an architecture without neighbours stays as it is."""
        drawn = self.neighbours(cells).draw(generator)
        rows = torch.where(drawn >= 0, drawn, self.index(cells)).cpu()
        mutated: CellsT = self.enumerate()[rows].to(cells.device)
        return mutated
