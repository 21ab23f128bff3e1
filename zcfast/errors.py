"""The wording of errors, the same wherever a user may meet them."""

import difflib
import numbers
from collections.abc import Iterable
from typing import Any

LONGEST = 1200  # letters of a message


class Notice(UserWarning):
    """What the user should know though the work goes on; the command line prints it as one line."""


class Portable:
    """An exception that is made of other things than its message, pickled as it is: another process may raise it."""

    args: tuple[Any, ...]

    def __reduce__(self) -> Any:
        """Its class, what Python keeps of it, and its attributes."""
        return _again, (type(self), self.args), vars(self)


def _again(kind: type, args: tuple[Any, ...]) -> Any:
    made = kind.__new__(kind, *args)
    made.args = args
    return made


def unknown(kind: str, name: Any, known: Iterable[str]) -> ValueError:
    """The error to raise for a `name` that is none of `known`: with near matches if there are any, else with all."""
    known = list(dict.fromkeys(known))
    lower = {each.lower(): each for each in known}
    found = difflib.get_close_matches(name.lower(), lower, n=3) if isinstance(name, str) else []
    near = [lower[each] for each in found]
    expected = f"expected one of {', '.join(known)}" if known else "expected none, as there is none"
    hint = f"did you mean {' or '.join(near)}?" if near else expected
    return ValueError(f"unknown {kind} {name!r}: {hint}")


def integer(name: str, value: Any) -> int:
    """An argument that must be an integer, of Python or numpy; a ValueError names it otherwise."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise ValueError(f"{name}: expected an integer, got {value!r}")
    return int(value)


def check_kind(name: str, value: Any, kind: type) -> None:
    """Raise a ValueError that names the argument unless its value is of the kind."""
    if not isinstance(value, kind):
        raise ValueError(f"{name}: expected {kind.__name__}, got {type(value).__name__}")


def first_line(error: BaseException) -> str:
    """The first line of another library's error, fit to print."""
    return printable((str(error).splitlines() or [type(error).__name__])[0])


def shortened(text: str) -> str:
    """A message whose middle is left out where a file has made it longer than anyone reads."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]} ... {text[-LONGEST // 4 :]}"


def printable(text: str) -> str:
    """A text of a file that nobody vouches for, without line breaks and codes that would move a terminal's cursor."""
    return "".join(character if character.isprintable() else "?" for character in text)
