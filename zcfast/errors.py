"""The wording of errors, the same wherever a user may meet them."""

import difflib
from collections.abc import Iterable


def unknown(kind: str, name: str, known: Iterable[str]) -> ValueError:
    """The error to raise for a `name` that is none of `known`: with near matches if there are any, else with all."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else f"expected one of {', '.join(known)}"
    return ValueError(f"unknown {kind} {name!r}: {hint}")


def first_line(error: BaseException) -> str:
    """The first line of another library's error, fit to print."""
    line = (str(error).splitlines() or [type(error).__name__])[0]
    return "".join(character if character.isprintable() else "?" for character in line)
