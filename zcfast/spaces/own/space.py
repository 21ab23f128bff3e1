"""A search space of a user's own function from choices to a network."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from zcfast.errors import check_kind, integer
from zcfast.spaces.base import Example, SearchSpace
from zcfast.spaces.capabilities import Decisions, Neighbourhood, Sizes
from zcfast.spaces.cells import Texts
from zcfast.spaces.neighbours import check_generator
from zcfast.spaces.own.builder import Builder, text
from zcfast.spaces.own.choices import ChoiceError
from zcfast.spaces.own.digits import Digits
from zcfast.spaces.own.sizes import sizes_of
from zcfast.spaces.own.trial import Trial, changed


class BuilderSpace(SearchSpace[Texts], Decisions, Neighbourhood, Sizes):
    """The networks that a function makes of its choices.

        def build(trial):
            width = trial.suggest_int("width", 16, 64, step=8)
            kernels = [trial.suggest_categorical(f"kernel{i}", [3, 5, 7]) for i in range(6)]
            return MyNet(width, kernels)

        space = zcfast.Space(build, example=(inputs, targets))

    The function asks for its choices as it asks an Optuna trial, so that the same one runs in a study; later choices may
    depend on earlier ones. An architecture's text is its choices as JSON. ``build`` gives a network whose weights, as
    its layers draw them, depend on the generator's seed and the text alone.
    """

    def __init__(
        self, build: Callable[[Any], nn.Module], example: tuple[Any, Tensor] | Example, *, name: str | None = None
    ) -> None:
        """Ask the function for a few architectures.

        Args:
            build: from a trial to an nn.Module on the CPU. The same choices must give the same network but for weights.
            example: a minibatch (inputs, targets) that the networks take: inputs [B, ...], targets [B, ...].
            name: what files and the command line call the space: the import path by which others find it, such as
                "mymodule:space". By default that of the function.

        Raises:
            TypeError, ValueError: build or example is wrong; the message says what came.
        """
        self._builder = Builder(build)
        if not isinstance(example, Example):
            if not isinstance(example, (tuple, list)) or len(example) != 2:
                raise TypeError(f"example: expected (inputs, targets), got {type(example).__name__}")
            example = Example(*example)
        self.example = example
        self.name = self.title = name or f"{build.__module__}:{getattr(build, '__qualname__', type(build).__name__)}"
        check_kind("name", self.name, str)

    def sample(self, n: int, generator: torch.Generator | None = None) -> Texts:
        """``n`` architectures, each choice drawn as its range says (uniformly, or with ``log`` in equal ratios)."""
        check_generator(generator)
        if integer("n", n) < 0:
            raise ValueError(f"n: expected a number of architectures >= 0, got {n}")
        return _texts(self._builder.draw(generator) for _ in range(n))

    def format(self, cells: Texts) -> list[str]:
        """The choices of each architecture as JSON with sorted names."""
        return list(cells.texts)

    def parse(self, architecture: Any) -> Texts:
        """The architectures of a text, of choices by name, or of a list of these."""
        several = not isinstance(architecture, (str, Mapping))
        return _texts(map(self._parse, architecture if several else [architecture]))

    def reasons(self, cells: Texts) -> list[str]:
        """Why each text is no architecture of the space; empty where it is one."""
        return [self._reason(each) for each in cells.texts]

    def mutate(self, cells: Texts, generator: torch.Generator | None = None) -> Texts:
        """Another option for one choice of each architecture, both drawn uniformly; choices that it brings are drawn."""
        check_generator(generator)
        return _texts(self._builder.asked(changed(self._trial(each), generator)) for each in cells.texts)

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many options each choice has. A ValueError names one that has no finite number."""
        return self._digits.sizes

    def encode(self, choices: Tensor) -> Texts:
        """See ``Decisions``."""
        return _texts(map(self._digits.decode, choices.tolist()))

    def decode(self, cells: Texts) -> Tensor:
        """See ``Decisions``."""
        return self._digits.encode([self._trial(each) for each in cells.texts])

    def params(self, cells: Texts, **network: Any) -> Tensor:
        """Trainable parameters, int64 [N], of networks whose weights are never drawn."""
        return torch.tensor([self._sizes(each).params for each in cells.texts], dtype=torch.int64)

    def flops(self, cells: Texts, **network: Any) -> Tensor:
        """Multiply-adds of one sample, int64 [N], as the proxy ``flops`` counts them."""
        return torch.tensor([self._sizes(each).flops for each in cells.texts], dtype=torch.int64)

    def _network(self, cell: Texts, **options: Any) -> nn.Module:
        return self._builder.network(json.loads(cell.texts[0]))

    @cached_property
    def _digits(self) -> Digits:
        return Digits(self._builder)

    def _parse(self, architecture: Any) -> Trial:
        if isinstance(architecture, str):
            try:
                architecture = json.loads(architecture)
            except ValueError as error:
                raise ValueError(f"architecture: expected JSON, got {architecture!r}: {error}") from error
        if not isinstance(architecture, Mapping):
            raise ValueError(f"architecture: expected choices by name, got {architecture!r}")
        return self._builder.follow(architecture)

    def _reason(self, architecture: str) -> str:
        try:
            trial = self._parse(architecture)
        except ValueError as error:
            return str(error)
        written = text(trial.params)
        return "" if written == architecture else f"expected the text {written}"
