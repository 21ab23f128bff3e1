"""A user's function from choices to a network: what it asks, and the network that it makes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from zcfast.errors import first_line
from zcfast.nets.seeding import seeded
from zcfast.spaces.own.choices import ChoiceError
from zcfast.spaces.own.trial import Trial, drawn, fixed
from zcfast.spaces.own.undrawn import Undrawn

Build = Callable[[Any], nn.Module]
_TRIED = 8


@dataclass(frozen=True)
class Asked:
    """What the function asked, and what it made of the answers, with weights that are never drawn."""

    trial: Trial
    module: nn.Module


class BuildError(ValueError):
    """The function raised, or made no module."""


class Builder:
    """Runs the function and says what is wrong with it.

    Raises:
        TypeError: the function cannot be called.
        ValueError: what it makes depends on chance; it raises; it makes no module.
    """

    def __init__(self, build: Build) -> None:
        """Run it twice with the same choices, which must ask the same and make the same."""
        if not callable(build):
            raise TypeError(f"build: expected a function of a trial, got {type(build).__name__}")
        self.build = build
        first = self._first_that_builds()
        _require_same(first, self.ask(fixed(first.trial.params), seed=2))

    def _first_that_builds(self) -> Asked:
        """Of a few random architectures; what the last one raised if none can be built."""
        generator = torch.Generator().manual_seed(0)
        for left in reversed(range(_TRIED)):
            try:
                return self.ask(drawn(generator), seed=1)
            except BuildError:
                if not left:
                    raise
        raise AssertionError

    def draw(self, generator: torch.Generator | None) -> Trial:
        """A trial with random answers, also where the function then raises: that network has a reason for no score."""
        return self.asked(drawn(generator))

    def follow(self, values: Mapping[str, Any]) -> Trial:
        """The trial that gives these values; a ValueError names one that is missing, wrong or never asked for."""
        trial = self.asked(fixed(values))
        for name in values:
            if name not in trial.params:
                asked = ", ".join(trial.params) or "nothing"
                raise ValueError(f"choice {name!r}: expected none, as build asks for {asked} with the others")
        return trial

    def network(self, values: Mapping[str, Any]) -> nn.Module:
        """The network of these values, its weights drawn from the global generators."""
        return self._module(fixed(values))

    def asked(self, trial: Trial) -> Trial:
        """The trial when the function has asked, also where it then raises."""
        with suppress(BuildError):
            self.ask(trial)
        return trial

    def ask(self, trial: Trial, seed: int = 0) -> Asked:
        """Run the function for its questions and the shapes of what it makes."""
        with seeded(seed), Undrawn():
            return Asked(trial, self._module(trial))

    def _module(self, trial: Trial) -> nn.Module:
        try:
            module = self.build(trial)
        except ChoiceError:
            raise
        except Exception as error:  # a foreign function: what it raises is the result
            given = f" for {text(trial.params)}" if trial.params else ""
            raise BuildError(f"build raised {type(error).__name__}{given}: {first_line(error)}") from error
        if not isinstance(module, nn.Module):
            raise BuildError(f"build: expected to return an nn.Module, got {type(module).__name__}")
        return module


def text(values: Mapping[str, Any]) -> str:
    """The canonical text of an architecture: JSON with sorted names."""
    return json.dumps(values, sort_keys=True, separators=(", ", ": "), ensure_ascii=False, allow_nan=False)


def _require_same(first: Asked, second: Asked) -> None:
    """Raise a ValueError where two runs with the same choices asked or made different things."""
    asked = [list(each.trial.choices.items()) for each in (first, second)]
    if asked[0] != asked[1]:
        names = [", ".join(each.trial.choices) or "nothing" for each in (first, second)]
        raise ValueError(
            f"build: expected the same questions after the same answers, got {names[0]} and then {names[1]}: "
            f"choices may depend on no chance"
        )
    shapes = [{name: tuple(p.shape) for name, p in each.module.named_parameters()} for each in (first, second)]
    if shapes[0] != shapes[1]:
        name = next(iter(dict(shapes[0].items() ^ shapes[1].items())))
        came = " and then ".join(str(list(each[name])) if name in each else "none" for each in shapes)
        raise ValueError(
            f"build: expected the same network after the same answers, got parameter {name} of shape {came}: "
            f"networks may depend on no chance but for their weights"
        )
