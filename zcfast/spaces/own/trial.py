"""What a builder asks for its choices: the methods of Optuna's trials, so that the same function runs in a study."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from zcfast.spaces.own.choices import Categorical, Choice, ChoiceError, Number

Answer = Callable[[Choice], Any]


class Trial:
    """One run of a builder.

    Attributes:
        params: the value of each choice, by its name, in the order of the questions.
        choices: what each was chosen from.
    """

    def __init__(self, answer: Answer) -> None:
        """Take what answers a question that was not asked before."""
        self.params: dict[str, Any] = {}
        self.choices: dict[str, Choice] = {}
        self._answer = answer

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """What else an Optuna trial has belongs to a study; without one there is none."""
            known = "suggest_categorical, suggest_int or suggest_float, all that a trial has without a study"
            raise AttributeError(f"trial.{name}: expected {known}")

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of the choices."""
        return self._value(Categorical(name, tuple(choices)))

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """An integer from low to high, both included."""
        value: int = self._value(Number.integer(name, low, high, step, log))
        return value

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """A number from low to high, both included where there is a step."""
        return float(self._value(Number(name, float(low), float(high), step, log, whole=False)))

    def _value(self, choice: Choice) -> Any:
        if not isinstance(choice.name, str):
            raise ChoiceError(f"choice: expected a name, got {choice.name!r}")
        before = self.choices.get(choice.name)
        if before is None:
            self.params[choice.name] = self._answer(choice)
            self.choices[choice.name] = choice
        elif before != choice:
            raise ChoiceError(f"choice {choice.name!r}: asked for twice, as {before} and as {choice}")
        return self.params[choice.name]


def drawn(generator: torch.Generator | None) -> Trial:
    """A trial whose answers are random."""
    return Trial(lambda choice: choice.draw(generator))


def fixed(values: Mapping[str, Any]) -> Trial:
    """A trial that gives these values; a ChoiceError names a choice that they lack or that is none of its options."""

    def answer(choice: Choice) -> Any:
        if choice.name not in values:
            raise ChoiceError(f"choice {choice.name!r}: expected {choice}, got none")
        place = choice.index(values[choice.name])
        if place is None:
            raise ChoiceError(f"choice {choice.name!r}: expected {choice}, got {values[choice.name]!r}")
        # As the builder wrote it: JSON gives lists for tuples.
        return values[choice.name] if choice.size is None else choice.option(place)

    return Trial(answer)


def changed(trial: Trial, generator: torch.Generator | None) -> Trial:
    """A trial with another option for one choice of a trial, both drawn uniformly.

    The other choices keep their values; what is asked anew, or with other options, is drawn. Without a choice that can
    change it is the same.
    """
    names = [name for name, choice in trial.choices.items() if choice.size != 1]
    chosen = names[int(torch.randint(len(names), (), generator=generator))] if names else None

    def answer(choice: Choice) -> Any:
        if trial.choices.get(choice.name) != choice:
            return choice.draw(generator)
        value = trial.params[choice.name]
        return choice.draw_other(value, generator) if choice.name == chosen else value

    return Trial(answer)
