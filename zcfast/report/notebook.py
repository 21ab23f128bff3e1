"""Tables of scores and accuracies as HTML for a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from zcfast.report.text import number
from zcfast.spaces import Enumerated
from zcfast.spaces import names as spaces

if TYPE_CHECKING:
    from zcfast.scores import Scores
    from zcfast.spaces import Cells
    from zcfast.tables import Table

ROWS, COLUMNS = 5, 8


def scores(scores: Scores) -> str:
    """The space, the number of rows, and the first rows of the first columns."""
    first, shown = scores.cells[:ROWS], list(scores.columns)[:COLUMNS]
    values = [[number(value) for value in scores.columns[name][:ROWS].tolist()] for name in shown]
    rows = [[name, *row] for name, *row in zip(_labels(scores, first), *values, strict=True)]
    title = f"{scores.space.name}: {len(scores):,} architectures, {_count(len(scores.columns), 'score')}"
    heading = "index" if scores.space.offers(Enumerated) else "architecture"
    return _table(title, [heading, *shown], rows, _left_out(len(scores), len(scores.columns)))


def table(table: Table) -> str:
    """The description, the number of rows, and each metric with its protocol, for the first metrics."""
    rows = []
    for name, metric in list(table.metrics.items())[:COLUMNS]:
        count = int((~metric.values.isnan().all(0)).sum())
        epochs, seeds = "" if metric.epochs is None else str(metric.epochs), ", ".join(map(str, metric.seeds))
        rows.append([name, metric.dataset, metric.split, epochs, metric.unit, seeds, f"{count:,}"])
    kind = "architectures" if table.space in spaces() else "entries"
    title = f"{table.space}: {len(table):,} {kind}, {_count(len(table.metrics), 'metric')}. {table.description}"
    headings = ["metric", "data", "split", "epochs", "unit", "seeds", "values"]
    return _table(title, headings, rows, _left_out(0, len(table.metrics), "metric"))


def _labels(scores: Scores, cells: Cells) -> list[str]:
    """Rows of the space's list of architectures, or their texts."""
    listed = scores.space.offers(Enumerated)
    return scores.space.format(cells) if listed is None else [str(row) for row in listed.index(cells).tolist()]


def _left_out(rows: int, columns: int, noun: str = "column") -> str:
    """What the table does not show, in words."""
    parts = [_count(rows - ROWS, "row")] if rows > ROWS else []
    parts += [_count(columns - COLUMNS, noun)] if columns > COLUMNS else []
    return f"and {' and '.join(parts)} more" if parts else ""


def _count(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def _table(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]], foot: str) -> str:
    head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    below = f"<p>{escape(foot)}</p>" if foot else ""
    return f"<div><p>{escape(title)}</p><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{below}</div>"
