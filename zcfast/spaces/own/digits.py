"""Architectures of an own space as digits, one a choice, and as one number of all digits."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from zcfast.spaces.own.builder import Builder
from zcfast.spaces.own.choices import Choice, ChoiceError
from zcfast.spaces.own.trial import Trial

LARGEST = 2**62  # numbers of architectures are int64
_DRAWN = 16  # architectures that are asked before choices are changed one by one


class Digits:
    """The choices of a builder in a fixed order, found by asking.

    A choice that only some architectures have, or whose options depend on others, is found by giving each choice each
    of its options in some architecture. One that shows itself later goes behind the others, so that the numbers of
    architectures without it stay what they are.
    """

    def __init__(self, builder: Builder) -> None:
        """Ask.

        Raises:
            ChoiceError: a choice has no finite number of options, or there are more architectures than numbers.
        """
        self._builder = builder
        self._examples: dict[Choice, Trial] = {}  # of each choice an architecture that has it
        self._taken: set[tuple[Choice, int | None]] = set()  # options that some architecture has
        self._asked: set[frozenset[Choice]] = set()  # the choices that architectures have
        generator = torch.Generator().manual_seed(0)
        for _ in range(_DRAWN):
            self._note(builder.draw(generator))
        done: set[Choice] = set()
        while len(done) < len(self._examples):  # what a change brings up is changed too
            for choice in [choice for choice in self._examples if choice not in done]:
                done.add(choice)
                for place in (each for each in range(_size(choice)) if (choice, each) not in self._taken):
                    self._with_option(self._examples[choice], choice, place)

    @property
    def choices(self) -> tuple[Choice, ...]:
        """The D choices."""
        return tuple(self._examples)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of options of each choice."""
        return tuple(map(_size, self._examples))

    def encode(self, trials: Sequence[Trial]) -> Tensor:
        """Digits of trials, int64 [N, D]; -1 where an architecture does not have the choice."""
        for trial in trials:
            self._note(trial)
        return torch.tensor([self._digits(trial) for trial in trials]).reshape(len(trials), len(self._examples))

    def decode(self, digits: Sequence[int]) -> Trial:
        """The architecture of D digits, of which those of choices that it does not have are ignored."""
        given = dict(zip(self._examples, digits, strict=True))
        return self._answered(given)

    def number(self, trial: Trial) -> int:
        """The number of an architecture: its digits, the first the lowest, where a missing choice is 0."""
        self._note(trial)
        number = 0
        for size, digit in zip(reversed(self.sizes), reversed(self._digits(trial)), strict=True):
            number = number * size + max(digit, 0)
        return number

    def all(self) -> Iterator[Trial]:
        """Every architecture once: each asked choice is given its other options, what stands before it being kept."""
        left: list[dict[Choice, int]] = [{}]
        while left:
            given = left.pop()
            trial = self._answered(given)
            yield trial
            places = {choice: choice.index(trial.params[name]) or 0 for name, choice in trial.choices.items()}
            asked = list(places)
            for at in range(len(given), len(asked)):
                before = {choice: places[choice] for choice in asked[:at]}
                left += ({**before, asked[at]: place} for place in range(1, _size(asked[at])))

    def written(self, values: Any) -> dict[str, Any] | None:
        """The choices of these values by name, without asking; None where they may be no architecture.

        That can be said only where every architecture that was ever asked has the same choices.
        """
        if len(self._asked) > 1 or not isinstance(values, dict) or len(values) != len(self._examples):
            return None
        places = {choice: choice.index(values.get(choice.name)) for choice in self._examples}
        return {each.name: each.option(place) for each, place in places.items() if place is not None}

    def _digits(self, trial: Trial) -> list[int]:
        asked = {choice: choice.index(trial.params[name]) for name, choice in trial.choices.items()}
        return [-1 if (place := asked.get(choice)) is None else place for choice in self._examples]

    def _note(self, trial: Trial) -> None:
        if len(self._asked) < 2:  # a second form is all there is to know
            self._asked.add(frozenset(trial.choices.values()))
        for name, choice in trial.choices.items():
            self._taken.add((choice, choice.index(trial.params[name])))
            if choice not in self._examples:
                _size(choice)
                self._examples[choice] = trial
                if math.prod(self.sizes) > LARGEST:
                    raise ChoiceError(
                        f"build: expected at most 2^62 architectures, got more: {len(self.sizes)} choices"
                    )

    def _with_option(self, trial: Trial, changed: Choice, place: int) -> None:
        given = {choice: choice.index(trial.params[name]) or 0 for name, choice in trial.choices.items()}
        self._answered({**given, changed: place})

    def _answered(self, given: dict[Choice, int]) -> Trial:
        """The trial of these places; 0 for a choice without one."""

        def answer(choice: Choice) -> Any:
            _size(choice)
            return choice.option(max(given.get(choice, 0), 0))

        trial = self._builder.asked(Trial(answer))
        self._note(trial)
        return trial


def _size(choice: Choice) -> int:
    if choice.size is None:
        raise ChoiceError(f"choice {choice.name!r}: expected a step, so that its options can be counted, got none")
    return choice.size
