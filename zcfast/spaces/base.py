"""What every search space offers; all else is a capability (capabilities.py)."""

import importlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import torch
from torch import Tensor, nn

from zcfast.errors import integer, unknown
from zcfast.nets.initialisation import draw_weights
from zcfast.nets.inputs import Inputs, checked_inputs, first_minibatch, sample_count
from zcfast.nets.seeding import seeded
from zcfast.spaces.capabilities import Capability, NeighbourGraph
from zcfast.spaces.cells import Cells
from zcfast.spaces.neighbours import check_generator

WEIGHTS = ("initialisation", "batch_norm")  # options that leave the network what it is
DRAWS = 100  # of a sample, until it has enough that differ
CellsT = TypeVar("CellsT", bound=Cells)
CapabilityT = TypeVar("CapabilityT", bound=Capability)


@dataclass(frozen=True)
class Example:
    """A minibatch that the networks of a space take.

    Attributes:
        inputs: a tensor [B, ...], several in a tuple, as in ``net(*inputs)``, or by keyword in a dict.
        targets: what the loss compares the output with, int64 [B] for cross-entropy.
    """

    inputs: Inputs
    targets: Any

    def __post_init__(self) -> None:
        """Check the inputs."""
        object.__setattr__(self, "inputs", checked_inputs(self.inputs, "example: inputs"))

    @classmethod
    def of(cls, value: Any) -> "Example":
        """An example as it is, or that of a pair, a batch or a DataLoader's first; a TypeError says what else came."""
        value = first_minibatch(value)
        if isinstance(value, cls):
            return value
        if hasattr(value, "inputs") and hasattr(value, "targets"):  # such as zcfast.load_images gives
            return cls(value.inputs, value.targets)
        if not isinstance(value, (tuple, list)) or len(value) != 2:
            raise TypeError(f"example: expected (inputs, targets), got {type(value).__name__}")
        return cls(*value)


class SearchSpace(ABC, Generic[CellsT]):
    """Architectures that can be drawn, written as texts and built. The text is what an architecture is known by.

    A space of the user's own implements ``sample``, ``format``, ``parse`` and ``_network``, and gives ``name`` and
    ``example``. A batch of architectures is a ``Cells`` of tensors or a ``Texts``.

    Attributes:
        name: what the registry, files and the command line call it.
        title: what readers call it.
        source: where it is from.
        example: a minibatch that its networks take.
        options: what ``build`` takes beside a generator, and what holds by default.
        initialisation: how ``build`` draws weights by default (zcfast/nets/initialisation.py); None leaves them as the
            modules draw them themselves.
        elsewhere: capabilities that lie outside the class, imported when they are asked for: "module:name" of what
            makes one from the space.
    """

    name: str
    title: str
    source: str = ""
    example: Example
    options: Mapping[str, Any] = {}
    initialisation: str | None = None
    elsewhere: ClassVar[Mapping[type[Capability], str]] = {}

    def __init_subclass__(cls, **keywords: Any) -> None:
        """A space without a title is called by its name."""
        super().__init_subclass__(**keywords)
        if isinstance(vars(cls).get("name"), str) and not hasattr(cls, "title"):
            cls.title = cls.name

    def __repr__(self) -> str:
        """The call that gives the space."""
        return f"zcfast.space({self.name!r})"

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Say of what a capability would have which one that is, and what to use instead."""
            if hasattr(type(self), name):  # a property that raised: its own error is the one to see
                return object.__getattribute__(self, name)
            kinds = (*Capability.__subclasses__(), NeighbourGraph)  # what these are, not what has them
            kind = next((each for each in kinds if name in vars(each)), None)
            if kind is None or name.startswith("_"):
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)
            if kind not in self.elsewhere:  # what is there may take long to make
                try:
                    self.capability(kind)
                except ValueError as error:
                    raise AttributeError(str(error)) from error
            expected = f"space.capability(zcfast.spaces.{kind.__name__}).{name}"
            raise AttributeError(f"{self.name}: expected {expected}, got space.{name}")

    @abstractmethod
    def sample(self, n: int, generator: torch.Generator | None = None) -> CellsT:
        """``n`` architectures drawn at random, with replacement."""

    def sample_distinct(self, n: int, generator: torch.Generator | None = None) -> CellsT:
        """``n`` architectures of different texts, drawn at random; a ValueError where no more are found."""
        if integer("n", n) < 0:
            raise ValueError(f"n: expected a number of architectures >= 0, got {n}")
        found: dict[str, None] = {}
        for _ in range(DRAWS):
            if len(found) >= n:
                break
            found |= dict.fromkeys(self.format(self.sample(n - len(found), generator)))
        if len(found) < n:
            raise ValueError(f"n: expected at most about {len(found)} different architectures of {self.name}, got {n}")
        return self.parse(list(found)[:n])

    @abstractmethod
    def format(self, cells: CellsT) -> list[str]:
        """The text of each architecture: equal texts are equal architectures."""

    @abstractmethod
    def parse(self, architecture: Any) -> CellsT:
        """The architectures of a text or a list of them. A ValueError says what a text lacks."""

    @abstractmethod
    def _network(self, cell: CellsT, **options: Any) -> nn.Module:
        """The network of one valid architecture; its weights may be drawn from the global generators."""

    def reasons(self, cells: CellsT) -> list[str]:
        """Why each encoding is no architecture of the space, in words; empty where it is one."""
        return [""] * len(cells)

    def is_valid(self, cells: CellsT) -> Tensor:
        """Whether each encoding is an architecture of the space, bool [N]; ``reasons`` says why not."""
        return torch.tensor([not reason for reason in self.reasons(cells)], dtype=torch.bool)

    def require_valid(self, cells: CellsT) -> None:
        """Raise a ValueError that names the first invalid row and its reason."""
        invalid = (~self.is_valid(cells)).nonzero()
        if len(invalid):
            row = int(invalid[0])
            raise ValueError(f"cells: row {row} is no {self.title} cell: {self.reasons(cells[row])[0]}")

    def seeds(self, cells: CellsT) -> list[str]:
        """What the random weights of each architecture depend on beside the seed: its text."""
        return self.format(cells)

    def build(
        self,
        architecture: Any,
        *,
        initialisation: str | None = None,
        generator: torch.Generator | None = None,
        **options: Any,
    ) -> nn.Module:
        """The network of one architecture, on the CPU, as ``_network`` makes it and with weights of its own.

        Args:
            architecture: a batch of one, or whatever ``parse`` takes. It is built as it stands.
            initialisation: "kaiming_fan_out", "kaiming_fan_in" or "pytorch"; the space's own by default.
            generator: of the weights; the global ones by default.
            options: other ``options`` of the space.

        Raises:
            ValueError: an invalid architecture, more than one, an unknown or impossible option, an ``initialisation``
                of a module with weights that it says nothing about, no module.
        """
        check_generator(generator)
        self.check_options(options)
        cell: CellsT = architecture if isinstance(architecture, Cells) else self.parse(architecture)  # type: ignore[assignment]
        if len(cell) != 1:
            raise ValueError(f"architecture: expected one, got {len(cell)}")
        self.require_valid(cell)
        wanted = initialisation or self.initialisation
        with ExitStack() as stack:
            if generator is not None:
                # Where an initialisation draws all weights, its draws are the generator's first.
                drawn = wanted is None
                seed = torch.randint(2**62, (), generator=generator).item() if drawn else generator.initial_seed()
                stack.enter_context(seeded(int(seed)))
            module = self._network(cell, **options)
        if not isinstance(module, nn.Module):
            raise ValueError(f"{self.name}: expected an nn.Module for {self.format(cell)[0]}, got {module!r}")
        if wanted is not None:
            draw_weights(module, wanted, generator)
        return module

    def check_options(self, options: Mapping[str, Any]) -> None:
        """Raise a ValueError for an option that ``build`` does not take or that cannot be."""
        for name in options:
            if name not in self.options:
                raise unknown("option", name, self.options)

    def network_options(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """All options that say what the networks are, those of ``options`` and the others by default.

        Raises:
            ValueError: as ``check_options``.
        """
        self.check_options(options)
        return {name: value for name, value in {**self.options, **options}.items() if name not in WEIGHTS}

    def fitting(self, batch: Any, options: dict[str, Any]) -> dict[str, Any]:
        """Options of networks that fit a minibatch with inputs, targets and maybe classes; by default those given.

        Raises:
            ValueError: an impossible option, or a minibatch that no network of the space takes.
        """
        inputs, targets = batch
        samples = sample_count(inputs)
        if not samples or len(targets) != samples:
            came = f"{len(targets)} for {samples}"
            raise ValueError(f"images: expected as many targets as inputs, got {came}")
        self.check_options(options)
        return options

    def example_with(self, options: Mapping[str, Any]) -> Example:
        """The example of networks with these options."""
        return self.example

    @property
    def minibatch(self) -> Example | None:
        """What networks are scored on where nobody gives a minibatch; None if one has to be given."""
        return self.example

    def capability(self, kind: type[CapabilityT]) -> CapabilityT:
        """What the space offers of a kind; a ValueError says that it has none, and what to use instead."""
        found = self.offers(kind)
        if found is None:
            expected = f"expected a space with {kind.gives} (zcfast.spaces.{kind.__name__}), got one without"
            raise ValueError(f"{self.name}: {expected}; {kind.instead}")
        return found

    def offers(self, kind: type[CapabilityT]) -> CapabilityT | None:
        """What the space offers of a kind, if anything."""
        if isinstance(self, kind):
            return self
        return _loaded(self, self.elsewhere[kind]) if kind in self.elsewhere else None


@lru_cache(maxsize=256)
def _loaded(space: SearchSpace[Any], path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)(space)
