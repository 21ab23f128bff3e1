"""One choice of an architecture: its name and what may be chosen, with the kinds and ranges of Optuna's trials."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch

from zcfast.errors import integer


class ChoiceError(ValueError):
    """A choice that cannot be, or an answer that is none of its options."""


@dataclass(frozen=True, eq=False)
class Categorical:
    """One of the options, uniformly. Two of them are equal where their names and the texts of their options are."""

    name: str
    options: tuple[Any, ...]

    def __post_init__(self) -> None:
        """Check that there are options, that a text can tell them, and that they differ."""
        if not self.options:
            raise ChoiceError(f"choice {self.name!r}: expected at least one option, got none")
        for option in self.options:
            if not _is_plain(option):
                expected = "options that are None, bool, int, float, str or lists of these"
                raise ChoiceError(f"choice {self.name!r}: expected {expected}, got {option!r}; name it by a string")
        for place, option in enumerate(self.options):
            if self.index(option) != place:
                raise ChoiceError(f"choice {self.name!r}: expected different options, got {option!r} twice")

    def __eq__(self, other: object) -> bool:
        """As options may be lists, or True beside 1, their texts are compared."""
        return isinstance(other, Categorical) and self._key() == other._key()

    def __hash__(self) -> int:
        """Of the same."""
        return hash(self._key())

    def _key(self) -> tuple[str, str]:
        return self.name, _as_text(self.options)

    @property
    def size(self) -> int:
        """Number of options."""
        return len(self.options)

    def option(self, place: int) -> Any:
        """The option at a place from 0 to size - 1."""
        return self.options[place]

    def index(self, value: Any) -> int | None:
        """The place of an option, also as JSON gives it back; None for any other value."""
        wanted = _as_text(value)
        return next((place for place, option in enumerate(self.options) if _as_text(option) == wanted), None)

    def draw(self, generator: torch.Generator | None) -> Any:
        """An option drawn uniformly."""
        return self.options[_below(self.size, generator)]

    def draw_other(self, value: Any, generator: torch.Generator | None) -> Any:
        """Another option than the value, drawn uniformly."""
        return self.options[_other(self.size, self.index(value), generator)]

    def __str__(self) -> str:
        """What may be chosen, for errors."""
        return f"one of {', '.join(map(repr, self.options))}"


@dataclass(frozen=True)
class Number:
    """A number from low to high in steps, or any between them where step is None; ``log`` draws small ones as often.

    ``whole`` numbers are integers.
    """

    name: str
    low: float
    high: float
    step: float | None
    log: bool
    whole: bool

    @classmethod
    def integer(cls, name: str, low: int, high: int, step: int, log: bool) -> Number:
        """An integer from low to the last step at or before high."""
        low, high, step = (integer(f"choice {name!r}", each) for each in (low, high, step))
        return cls(name, low, high, step, log, whole=True)

    def __post_init__(self) -> None:
        """Check the range."""
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low <= self.high):
            raise ChoiceError(f"choice {self.name!r}: expected finite low <= high, got {self.low} and {self.high}")
        if self.step is not None and not 0 < self.step < math.inf:
            raise ChoiceError(f"choice {self.name!r}: expected a step > 0, got {self.step}")
        if self.log and self.low <= 0:
            raise ChoiceError(f"choice {self.name!r}: expected low > 0 with log=True, got {self.low}")
        if self.log and self.step is not None and not (self.whole and self.step == 1):
            raise ChoiceError(f"choice {self.name!r}: expected no step with log=True, got {self.step}")

    @property
    def size(self) -> int | None:
        """Number of options; None where any number of a range may be chosen."""
        if self.step is None:
            return None if self.low < self.high else 1
        # As Optuna: decimal steps such as .1 lose no option to rounding.
        return math.floor(round((self.high - self.low) / self.step, 9)) + 1

    def option(self, place: int) -> float:
        """The option at a place from 0 to size - 1."""
        value = self.low + place * (self.step or 0.0)
        return int(value) if self.whole else float(min(value, self.high))

    def index(self, value: Any) -> int | None:
        """The place of an option; 0 for any number of a range without steps; None for any other value."""
        if isinstance(value, bool) or not isinstance(value, int if self.whole else (int, float)):
            return None
        if self.step is None:
            return 0 if self.low <= value <= self.high else None
        place = round((value - self.low) / self.step) if math.isfinite(value) else -1
        return place if 0 <= place < (self.size or 0) and self.option(place) == value else None

    def draw(self, generator: torch.Generator | None) -> float:
        """An option drawn uniformly, or with log, with equal chances for equal ratios."""
        if not self.log and self.size is not None:
            return self.option(_below(self.size, generator))
        uniform = float(torch.rand((), dtype=torch.float64, generator=generator))
        if not self.log:
            return self.low + uniform * (self.high - self.low)
        half = 0.5 if self.whole else 0.0  # each integer has the numbers that round to it
        low, high = math.log(self.low - half), math.log(self.high + half)
        value = min(max(math.exp(low + uniform * (high - low)), self.low), self.high)
        return round(value) if self.whole else value

    def draw_other(self, value: Any, generator: torch.Generator | None) -> float:
        """Another option than the value, drawn uniformly."""
        if self.size is None:
            return self.draw(generator)
        return self.option(_other(self.size, self.index(value), generator))

    def __str__(self) -> str:
        """What may be chosen, for errors."""
        steps = "" if self.step is None or (self.whole and self.step == 1) else f" in steps of {self.step}"
        return f"{'an integer' if self.whole else 'a number'} from {self.low} to {self.high}{steps}"


Choice = Categorical | Number


def _below(n: int, generator: torch.Generator | None) -> int:
    return int(torch.randint(n, (), generator=generator))


def _other(n: int, place: int | None, generator: torch.Generator | None) -> int:
    """A place from 0 to n - 1 but for one, drawn uniformly."""
    drawn = _below(n - 1, generator)
    return drawn + (place is not None and drawn >= place)


def _is_plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, (bool, int, str)) or (isinstance(value, float) and math.isfinite(value))


def _as_text(value: Any) -> str:
    """Tells True from 1 and 1 from 1.0, which compare equal, and takes lists for tuples, as JSON does."""
    if isinstance(value, (list, tuple)):
        return f"[{','.join(map(_as_text, value))}]"
    return repr(value)
