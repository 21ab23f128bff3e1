"""A search space of a user's own function from choices to a network."""

from __future__ import annotations

import json
import math
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from zcfast.errors import Notice, integer
from zcfast.spaces.base import CapabilityT, Example, SearchSpace
from zcfast.spaces.capabilities import (
    ActivationMemory,
    Decisions,
    Enumerated,
    LayerKinds,
    NeighbourGraph,
    Neighbourhood,
    Sizes,
)
from zcfast.spaces.cells import Texts
from zcfast.spaces.neighbours import Neighbours, check_generator
from zcfast.spaces.own.builder import Builder, text
from zcfast.spaces.own.choices import Choice, ChoiceError
from zcfast.spaces.own.digits import Digits
from zcfast.spaces.own.trial import Answer, Trial, changed

LISTED = 10_000  # the largest product of all choices whose architectures are listed: each is asked for once
SILENT = 2.0  # s of listing after which it says how long it takes
_ASKED = 16  # architectures whose choices are known of a space that cannot be counted
_CHUNK = 256  # rows of the list that are compared with all others at once


class Space(SearchSpace[Texts], Neighbourhood):
    """The networks that a function makes of its choices.

        def build(trial):
            width = trial.suggest_int("width", 16, 64, step=8)
            kernels = [trial.suggest_categorical(f"kernel{i}", [3, 5, 7]) for i in range(6)]
            return MyNet(width, kernels)

        space = zcfast.Space(build, example=(inputs, targets))

    The function asks for its choices as it asks an Optuna trial, so that the same one runs in a study: by
    ``suggest_categorical``, ``suggest_int`` and ``suggest_float``, which are all that the trial has here. Later choices
    may depend on earlier ones. An architecture's text is its choices as JSON. Its layers draw their weights from the
    generator's seed and the text alone.

    A space whose choices can be counted is a ``zcfast.spaces.Decisions`` too, and one of at most 10,000 architectures a
    ``zcfast.spaces.Enumerated``, on which every search algorithm runs but ``regressor``, which reads closed forms.
    """

    elsewhere: ClassVar = {
        **dict.fromkeys((Sizes, LayerKinds), "zcfast.spaces.own.sizes:BuiltSizes"),
        ActivationMemory: "zcfast.spaces.own.memory:BuiltMemory",
    }
    _builder: Builder
    _uncounted: str

    def __new__(cls, build: Callable[[Any], nn.Module], example: Any, *, name: str | None = None) -> Space:
        """Ask the function for a few architectures.

        Args:
            build: from a trial to an nn.Module on the CPU. The same choices must give the same network but for weights.
            example: a minibatch (inputs, targets) that the networks take: inputs [B, ...], or several in a tuple or by
                keyword in a dict; targets [B, ...]. Scores that another process has kept are taken only where it had
                the same one, so draw it with a seed.
            name: what files call the space; the function's by default. ``zcfast.space("mymodule:space")`` and the
                command line call it by that path instead, by which it is found again.

        Raises:
            TypeError, ValueError: build or example is wrong; the message says what came.
        """
        builder = Builder(build)
        example = Example.of(example)
        if name is not None and not isinstance(name, str):
            raise TypeError(f"name: expected a text, got {name!r}")
        kind, digits, reason = Space, None, ""
        try:
            digits = Digits(builder)
            kind = ListedSpace if math.prod(digits.sizes) <= LISTED else CountedSpace
        except ChoiceError as error:
            reason = str(error)
        space = object.__new__(kind)
        space._builder, space.example, space._uncounted = builder, example, reason
        space.name = space.title = name or _name(build)
        if isinstance(space, CountedSpace) and digits is not None:
            space._digits = digits
        return space

    def __len__(self) -> int:
        """Number of architectures, of a space that lists them; a TypeError says why others have none."""
        try:
            return len(self.capability(Enumerated))
        except ValueError as error:
            raise TypeError(str(error)) from error

    def __bool__(self) -> bool:
        """Whatever it has, it is a space."""
        return True

    def __reduce__(self) -> Any:
        """Made again in another process, which must find the function by its import path."""
        return _made_again, (self._builder.build, self.example, self.name)

    def sample(self, n: int, generator: torch.Generator | None = None) -> Texts:
        """``n`` architectures, each choice drawn uniformly, or with ``log`` in equal ratios."""
        drawing = _drawing(generator)
        if integer("n", n) < 0:
            raise ValueError(f"n: expected a number of architectures >= 0, got {n}")
        return _texts(self._builder.draw(drawing) for _ in range(n))

    def format(self, cells: Texts) -> list[str]:
        """The choices of each architecture as JSON with sorted names."""
        return list(cells.texts)

    def parse(self, architecture: Any) -> Texts:
        """The architectures of a text, of choices by name, or of a list of these."""
        several = not isinstance(architecture, (str, Mapping))
        if several and not isinstance(architecture, Iterable):
            raise ValueError(
                f"architecture: expected choices by name, their JSON or a list of these, got {architecture!r}"
            )
        return Texts(tuple(map(self._written, architecture if several else [architecture])))

    def reasons(self, cells: Texts) -> list[str]:
        """Why each text is no architecture of the space; empty where it is one."""
        return [self._reason(each) for each in cells.texts]

    def mutate(self, cells: Texts, generator: torch.Generator | None = None) -> Texts:
        """Another option for one choice of each architecture, drawn uniformly as are the choices that it brings."""
        drawing = _drawing(generator)
        return _texts(self._builder.asked(changed(self._parse(each), drawing)) for each in cells.texts)

    def capability(self, kind: type[CapabilityT]) -> CapabilityT:
        """What the space offers of a kind; a ValueError says why it has none."""
        if self._uncounted and kind in (Decisions, Enumerated, NeighbourGraph):
            raise ValueError(f"{self.name}: expected a space with {kind.gives}, got one without: {self._uncounted}")
        return super().capability(kind)

    @property
    def questions(self) -> tuple[Choice, ...]:
        """The choices that are known: all of a counted space, of any other those of a few architectures."""
        drawn = (self._builder.draw(torch.Generator().manual_seed(seed)) for seed in range(_ASKED))
        return tuple(dict.fromkeys(choice for trial in drawn for choice in trial.choices.values()))

    def respond(self, answer: Answer) -> tuple[str, nn.Module | str]:
        """The architecture of these answers, and its network with undrawn weights or why there is none."""
        trial = Trial(answer)
        try:
            module = self._builder.ask(trial).module
        except ValueError as error:
            return text(trial.params), str(error)
        return text(trial.params), module

    def answers(self, architecture: Any) -> dict[str, Any]:
        """The value of each choice by name, as the function gave it: JSON makes lists of tuples."""
        return dict(self._parse(architecture).params)

    def outline(self, architecture: str) -> nn.Module:
        """The network of a text, for its sizes."""
        return self._builder.network(json.loads(architecture))

    def _network(self, cell: Texts, **options: Any) -> nn.Module:
        return self.outline(cell.texts[0])

    def _parse(self, architecture: Any) -> Trial:
        if isinstance(architecture, str):
            try:
                architecture = json.loads(architecture)
            except (ValueError, RecursionError) as error:
                raise ValueError(f"architecture: expected choices as JSON, got {architecture[:60]!r}") from error
        if not isinstance(architecture, Mapping):
            raise ValueError(f"architecture: expected choices by name, got {str(architecture)[:60]}")
        return self._builder.follow(architecture)

    def _written(self, architecture: Any) -> str:
        return text(self._parse(architecture).params)

    def _reason(self, architecture: str) -> str:
        try:
            written = self._written(architecture)
        except ValueError as error:
            return str(error)
        return "" if written == architecture else f"expected the text {written}"


class CountedSpace(Space, Decisions):
    """A space whose choices have a finite number of options each."""

    _digits: Digits

    @property
    def questions(self) -> tuple[Choice, ...]:
        """The choices."""
        return self._digits.choices

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many options each choice has."""
        return self._digits.sizes

    def encode(self, choices: Tensor) -> Texts:
        """See ``Decisions``."""
        return _texts(map(self._digits.decode, choices.tolist()))

    def decode(self, cells: Texts) -> Tensor:
        """See ``Decisions``."""
        return self._digits.encode([self._parse(each) for each in cells.texts])

    def _written(self, architecture: Any) -> str:
        """Without asking where all architectures that were ever asked have the same choices: a file of ten thousand
        large networks is read in no time, and a text that is none after all is refused when it is built.
        """
        with suppress(ValueError, TypeError, RecursionError):
            values = self._digits.written(json.loads(architecture))
            if values is not None and text(values) == architecture:
                return str(architecture)
        return super()._written(architecture)


class ListedSpace(CountedSpace, Enumerated, NeighbourGraph):
    """A space of so few architectures that they are listed, in the order of their numbers."""

    def __len__(self) -> int:
        """Number of architectures."""
        return len(self._listed)

    @property
    def classes(self) -> int:  # type: ignore[override]
        """The number of architectures: no two of them are known to be one network."""
        return len(self)

    def enumerate(self) -> Texts:
        """All architectures. The first call asks the function for each."""
        return self._listed

    def sample_distinct(self, n: int, generator: torch.Generator | None = None) -> Texts:
        """``n`` architectures of different texts, drawn at random; a ValueError where there are fewer."""
        if integer("n", n) > len(self):
            raise ValueError(f"n: expected at most {len(self)} architectures, the size of {self.name}, got {n}")
        return super().sample_distinct(n, generator)

    def index(self, cells: Texts) -> Tensor:
        """Position in ``enumerate()``, int64 [N]; -1 where the text is none of it."""
        return torch.tensor([self._places.get(each, -1) for each in cells.texts], dtype=torch.int64)

    def neighbours(self, cells: Texts, relation: str = "choice") -> Neighbours:
        """The architectures that differ in one choice, and in those that it brings or takes away."""
        if relation != "choice":
            raise ValueError(f"relation: expected 'choice', got {relation!r}")
        self.require_valid(cells)
        return _differing(self.decode(cells), self._choices)

    def neighbour_graph(self, relation: str | None = None, symmetric: bool = False) -> Neighbours:
        """``neighbours`` of every architecture; every edge has one that leads back."""
        return self.neighbours(self.enumerate(), relation or "choice")

    @cached_property
    def _listed(self) -> Texts:
        most, started, told = math.prod(self._digits.sizes), time.monotonic(), False
        trials: list[Trial] = []
        for trial in self._digits.all():
            trials.append(trial)
            took = time.monotonic() - started
            left = took / len(trials) * (most - len(trials))
            if not told and min(took, left) > SILENT:
                told = True
                said = f"asks for each of its architectures, at most {most:,}, which takes at most {left:,.0f} s more"
                warnings.warn(Notice(f"{self.name}: {said}"), stacklevel=2)
        listed = map(text, (trial.params for trial in sorted(trials, key=self._digits.number)))
        return Texts(tuple(listed))

    @cached_property
    def _places(self) -> dict[str, int]:
        return {each: place for place, each in enumerate(self._listed.texts)}

    @cached_property
    def _choices(self) -> Tensor:
        return self.decode(self._listed)


def _made_again(build: Callable[[Any], nn.Module], example: Example, name: str) -> Space:
    return Space(build, example, name=name)


def _drawing(generator: torch.Generator | None) -> torch.Generator:
    """What to draw from. The function is asked with the global generators at a state of their own, so that these can
    only seed what its answers are drawn from.
    """
    check_generator(generator)
    return generator or torch.Generator().manual_seed(int(torch.randint(2**62, ())))


def _texts(trials: Iterable[Trial]) -> Texts:
    return Texts(tuple(text(trial.params) for trial in trials))


def _name(build: Callable[..., Any]) -> str:
    name = getattr(build, "__name__", type(build).__name__)
    return name if name.isidentifier() else "own"


def _differing(choices: Tensor, listed: Tensor) -> Neighbours:
    """Rows of the list, int64 [M, D], that differ from each of [N, D] in one of the choices that both have."""
    counts, ids = [], []
    for rows in torch.split(choices.short(), _CHUNK):
        both = (rows[:, None] >= 0) & (listed.short() >= 0)
        differ = ((rows[:, None] != listed.short()) & both).sum(2) == 1
        counts.append(differ.sum(1))
        ids.append(differ.nonzero()[:, 1])
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), *counts]).cumsum(0)
    return Neighbours(offsets, torch.cat([torch.zeros(0, dtype=torch.int64), *ids]))
