"""Rows of a file of ours, chosen, sorted and printed as a table, CSV or JSON."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Any

from zcfast.cli import terminal
from zcfast.errors import unknown
from zcfast.notebook import finite, number

if TYPE_CHECKING:
    import pyarrow

SHOWN = 20  # rows of a table where --limit does not say how many
_COMPARISONS = {
    "<=": "less_equal",
    ">=": "greater_equal",
    "!=": "not_equal",
    "<": "less",
    ">": "greater",
    "=": "equal",
}
_CONDITION = re.compile(r"\s*(<=|>=|!=|==?|<|>)(.*)", re.DOTALL)  # behind the name of a column
NARROWEST = 12  # letters of a column below which a row is shown as lines


@dataclass(frozen=True)
class Wanted:
    """Which rows and columns of a file, and how they are printed.

    Attributes:
        columns: names with commas between; all by default.
        sort: the column that gives the order, lowest first; with a minus before it, highest first.
        where: conditions such as "flops<=1e8", which all hold.
        limit: how many rows at most.
        form: "csv", "json" or "" for a table.
    """

    columns: str | None
    sort: str | None
    where: list[str]
    limit: int | None
    form: str

    def __bool__(self) -> bool:
        """Whether anything was asked for."""
        return bool(self.columns or self.sort or self.where or self.form) or self.limit is not None

    def show(self, file: Path) -> None:
        """Print them. Errors: ValueError for a file that is none of ours, an unknown column, a wrong condition."""
        from zcfast.data.saved import open_saved

        with open_saved(file) as saved:
            read = saved.read()
        rows = self._chosen(read)
        if self.form:
            _print_json(rows) if self.form == "json" else _print_csv(rows)
        else:
            _print_table(rows, SHOWN if self.limit is None else self.limit)

    def _chosen(self, rows: pyarrow.Table) -> pyarrow.Table:
        for condition in self.where:
            rows = rows.filter(_mask(rows, condition))
        if self.sort is not None:
            name = self.sort.removeprefix("-")
            _require(rows, "--sort", name)
            rows = rows.sort_by([(name, "descending" if self.sort.startswith("-") else "ascending")])
        if self.columns is not None:
            rows = rows.select(_names(rows, self.columns))
        return rows.slice(0, self.limit) if self.form and self.limit is not None else rows


def _names(rows: pyarrow.Table, text: str) -> list[str]:
    """The columns of a list with commas, which names such as wrcor(weighted=True, init='as_is') have too."""
    names, rest = [], text.strip()
    while rest:
        known = [name for name in rows.column_names if rest == name or re.match(re.escape(name) + r"\s*,", rest)]
        name = max(known, key=len) if known else rest.partition(",")[0].strip()
        _require(rows, "--columns", name)
        names.append(name)
        rest = rest[len(name) :].lstrip().removeprefix(",").lstrip()
    return names


def _require(rows: pyarrow.Table, flag: str, name: str) -> None:
    if name not in rows.column_names:
        raise ValueError(f"{flag}: {unknown('column', name, rows.column_names)}")


def _mask(rows: pyarrow.Table, condition: str) -> Any:
    """Where a condition holds; not where there is no number."""
    from pyarrow import compute, types

    named = [name for name in rows.column_names if condition.lstrip().startswith(name)]
    name = max(named, key=len) if named else re.split("[<>=!]", condition)[0].strip()
    found = _CONDITION.fullmatch(condition.lstrip()[len(name) :])
    if found is None:
        raise ValueError(f"--where: expected NAME<=NUMBER, with any of {' '.join(_COMPARISONS)}, got {condition!r}")
    _require(rows, "--where", name)
    sign, text = found[1].replace("==", "="), found[2].strip()
    column, value = rows.column(name), text
    if types.is_integer(column.type) or types.is_floating(column.type):
        try:
            value = float(text)
        except ValueError as error:
            raise ValueError(f"--where: expected a number to compare {name} with, got {text!r}") from error
        column = compute.if_else(compute.is_nan(column.cast("float64")), None, column.cast("float64"))
    elif not types.is_string(column.type):
        raise ValueError(f"--where: expected a column of numbers or texts, got {name}, lists of numbers")
    return compute.fill_null(getattr(compute, _COMPARISONS[sign])(column, value), False)


def _plain(rows: pyarrow.Table) -> pyarrow.Table:
    """The rows with lists as JSON, which CSV has no form for."""
    import pyarrow

    for place, name in enumerate(rows.column_names):
        if pyarrow.types.is_fixed_size_list(rows.column(name).type):
            texts = pyarrow.array(map(json.dumps, rows.column(name).to_pylist()), pyarrow.string())
            rows = rows.set_column(place, name, texts)
    return rows


def _print_csv(rows: pyarrow.Table) -> None:
    from pyarrow import BufferOutputStream
    from pyarrow.csv import write_csv

    stream = BufferOutputStream()
    write_csv(_plain(rows), stream)
    _print(stream.getvalue().to_pybytes().decode())


def _print_json(rows: pyarrow.Table) -> None:
    """An array of objects, a line each; null for what is no finite number."""
    lines = [json.dumps({name: finite(value) for name, value in row.items()}) for row in rows.to_pylist()]
    _print("[" + ",\n ".join(lines) + "]\n")


def _print(text: str) -> None:
    """As it is into a file or a pipe; on a terminal without codes that would move the cursor."""
    if sys.stdout.isatty():
        terminal.say(text.removesuffix("\n"))
    else:
        sys.stdout.write(text)


def _print_table(rows: pyarrow.Table, limit: int) -> None:
    from rich.table import Table as TextTable

    shown = _plain(rows.slice(0, limit))
    columns = [name for name in shown.column_names if shown.column(name).null_count < len(shown)]
    cells = [
        ["" if value is None else value if isinstance(value, str) else number(value) for value in row.values()]
        for row in shown.select(columns).to_pylist()
    ]
    if len(columns) * NARROWEST > get_terminal_size().columns:
        for row in cells:
            terminal.say("\n".join(f"{name}: {value}" for name, value in zip(columns, row, strict=True)) + "\n")
    else:
        text = TextTable(box=None, pad_edge=False)
        for name in columns:
            text.add_column(name, overflow="fold")
        for row in cells:
            text.add_row(*row)
        terminal.show(text)
    if len(rows) > len(shown):
        terminal.say(f"{len(rows) - len(shown):,} more rows; --limit shows more, --csv and --json print all")
