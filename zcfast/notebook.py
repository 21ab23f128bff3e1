"""How numbers and short tables are shown: as text, as HTML for a notebook, as JSON."""

import math
from collections.abc import Sequence
from html import escape
from typing import Any

ROWS, COLUMNS = 5, 8  # that are shown
EXACT = 1e15  # a float below has all its digits


def table(
    title: str, headings: Sequence[str], rows: Sequence[Sequence[str]], left_out: Sequence[tuple[int, str]]
) -> str:
    """A title, a table, and how many of what (a noun) it leaves out, where that is more than none."""
    head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    more = " and ".join(count(number, noun) for number, noun in left_out if number > 0)
    below = f"<p>{escape(f'and {more} more')}</p>" if more else ""
    return f"<div><p>{escape(title)}</p><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{below}</div>"


def count(count: int, noun: str) -> str:
    """A number of things in words."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def finite(value: Any) -> Any:
    """A value of JSON; None for a float that JSON has no form for."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def number(value: float) -> str:
    """A whole number with its thousands apart, any other number with six digits."""
    whole = abs(value) < EXACT and value == int(value)
    return f"{int(value):,}" if whole or isinstance(value, int) else f"{value:.6g}"
