"""What a search space may offer beyond building, drawing and naming its architectures.

A caller asks by ``space.capability(Decisions)``. A space offers one by being it (inheriting from its class) or by
giving it from ``offers``.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from zcfast.data.provenance import Meaning
from zcfast.spaces.neighbours import Neighbours


class Capability(ABC):
    """One thing that a space can do.

    Attributes:
        gives: what it is, for the error where a space lacks it.
        instead: what does the same for a space without it, or how a space comes to have it.
    """

    gives: ClassVar[str]
    instead: ClassVar[str]


class Enumerated(Capability):
    """All architectures in a fixed order, which rows of scores, tables and searches refer to."""

    gives = "a list of all its architectures"
    instead = "draw some by space.sample(n)"

    classes: ClassVar[int]  # how many architectures differ up to isomorphism

    @abstractmethod
    def __len__(self) -> int:
        """Number of architectures."""

    @abstractmethod
    def enumerate(self) -> Any:
        """All architectures. Built once and shared: do not write into it."""

    @abstractmethod
    def index(self, cells: Any) -> Tensor:
        """Position in ``enumerate()``, int64 [N]; -1 where the encoding is invalid."""

    def canonical(self, cells: Any) -> Any:
        """The representative of each one's isomorphism class: its first member in enumeration order."""
        return cells

    def keys(self, cells: Any) -> Tensor:
        """What releases file each architecture under: numbers int64 [N] or digests uint8 [N, B]."""
        return self.index(cells)


class Decisions(Capability):
    """D choices of one of several options each, which make an architecture."""

    gives = "a list of choices"
    instead = "zcfast.Space(build, example) has one, and so has a space that implements zcfast.spaces.Decisions"

    @property
    @abstractmethod
    def sizes(self) -> tuple[int, ...]:
        """How many options each choice has, D of them."""

    @abstractmethod
    def encode(self, choices: Tensor) -> Any:
        """Architectures of choices int64 [N, D], from 0 to size - 1; of choices that do not count any are taken.

        Some may be invalid (``space.is_valid``).
        """

    @abstractmethod
    def decode(self, cells: Any) -> Tensor:
        """Choices of valid architectures, int64 [N, D], -1 where one does not count; ``encode`` takes 0 for it."""

    @property
    def available(self) -> Tensor:
        """Whether each choice has each option, bool [D, C], C being the largest size."""
        return torch.arange(max(self.sizes)) < torch.tensor(self.sizes)[:, None]


class Neighbourhood(Capability):
    """One small change of an architecture."""

    gives = "small changes of an architecture"
    instead = "a space with zcfast.spaces.Decisions changes one of its choices"

    @abstractmethod
    def mutate(self, cells: Any, generator: torch.Generator | None = None) -> Any:
        """A neighbour of each architecture, drawn at random; one without neighbours stays as it is."""


class NeighbourGraph(Neighbourhood):
    """The neighbours of every architecture of an enumerated space."""

    gives = "a list of the neighbours of every architecture"
    instead = "zcfast.spaces.Neighbourhood draws them one by one"

    @abstractmethod
    def neighbours(self, cells: Any, relation: str = ...) -> Neighbours:
        """The distinct architectures one edit away from each; the space says what an edit is."""

    @abstractmethod
    def neighbour_graph(self, relation: str | None = None, symmetric: bool = False) -> Neighbours:
        """``neighbours`` of every architecture; ``symmetric`` adds the edges that lead back."""


INPUT, OUTPUT, OPERATION = 0, 1, 2  # kinds of vertices; operations have the kinds from OPERATION on


@dataclass(frozen=True)
class Mark:
    """An operation, or an end of a cell, in drawings.

    Attributes:
        name: in words.
        short: of a few letters, for pictures.
        kind: what sets its colour: "conv3", "conv1", "pool", "skip", "none" or "end".
    """

    name: str
    short: str
    kind: str


@dataclass(frozen=True)
class Drawing:
    """One architecture to draw: its vertices in topological order, and edges source, target and maybe an operation."""

    vertices: tuple[Mark, ...]
    edges: tuple[tuple[int, int, Mark | None], ...]


class Graph(Capability):
    """Architectures as graphs of operations, for predictors that read graphs and for drawings.

    Attributes:
        kinds: how many kinds of vertices there are, those of the ends included.
        marks: the operations.
    """

    gives = "architectures as graphs"
    instead = "the predictor also reads zcfast.spaces.Decisions"

    kinds: ClassVar[int]
    marks: ClassVar[tuple[Mark, ...]]

    @abstractmethod
    def graphs(self, cells: Any) -> tuple[Tensor, Tensor]:
        """Kinds int64 [N, V], -1 for no vertex, and edges bool [N, V, V]: [n, v, u] where vertex u feeds v."""

    @abstractmethod
    def drawing(self, cell: Any) -> Drawing:
        """A batch of one, to draw."""


class Sizes(Capability):
    """Parameters and multiply-adds without building a network."""

    gives = "sizes without building a network"
    instead = "the sampled proxies params and flops build each network"

    @abstractmethod
    def params(self, cells: Any, **network: Any) -> Tensor:
        """Trainable parameters of each architecture's network, int64 [N]."""

    @abstractmethod
    def flops(self, cells: Any, **network: Any) -> Tensor:
        """Multiply-adds of one sample through each architecture's network, of all that runs, int64 [N]."""

    def multiply_adds(self, cells: Any, **network: Any) -> Tensor:
        """The same, by the name of the proxy that counts all that runs."""
        return self.flops(cells, **network)


class LayerKinds(Capability):
    """How often each kind of layer is called, and its work."""

    gives = "layers by kind"
    instead = "zcfast.Space(build, example) and zcfast.spaces.of(modules) have them"

    @abstractmethod
    def layer_kinds(self, cells: Any) -> list[Mapping[str, tuple[int, int]]]:
        """Of each architecture's network by kind of layer: calls in a forward pass, and multiply-adds of one sample.

        Raises:
            ValueError: a network that cannot be built, or does not take the example.
        """


class ActivationMemory(Capability):
    """The memory that a forward pass needs beside the network."""

    gives = "the memory of activations"
    instead = "zcfast.Space(build, example) and zcfast.spaces.of(modules) have it"

    @abstractmethod
    def activation_memory(self, cells: Any, **network: Any) -> Tensor:
        """The most bytes that the input and all that is made of it take at once, int64 [N].

        Of each architecture's network in evaluation mode, in a forward pass of one sample; without parameters and
        buffers.

        Raises:
            ValueError: a network that cannot be built, or does not take the example.
        """


@dataclass(frozen=True)
class ClosedForm:
    """One or more columns of numbers that need no network; higher is better unless a definition says otherwise.

    Attributes:
        columns: their names and meanings.
        compute: cells, options of the network and options of its own, by name -> the columns [N].
        options: names of the options of its own.
        within: makes the columns from those that ``compute`` gives of all cells together and the options of its own, if
            their values depend on the set of cells.
    """

    columns: Mapping[str, Meaning]
    compute: Callable[[Any, dict[str, Any], dict[str, Any]], dict[str, Tensor]]
    options: tuple[str, ...] = ()
    within: Callable[[dict[str, Tensor], dict[str, Any]], dict[str, Tensor]] | None = None


class ClosedForms(Capability):
    """Scores of every architecture without a network."""

    gives = "closed forms"
    instead = "zcfast.score_architectures scores networks that it builds"

    @property
    @abstractmethod
    def forms(self) -> Mapping[str, ClosedForm]:
        """The closed forms by name."""


class Readers(Capability):
    """Files of accuracies as the benchmark released them."""

    gives = "files of accuracies of its own"
    instead = "zcfast.table reads CSV and Parquet files for every space"

    @abstractmethod
    def reader(self, path: Path) -> Callable[[Path], Any] | None:
        """What makes a zcfast.tables.Table of a file or directory; None for one of another kind."""

    @abstractmethod
    def archive(self, archive: Any) -> Any:
        """The zcfast.tables.Table of an .npz archive, zcfast/npz.py."""
