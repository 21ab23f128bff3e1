"""Writes a reproduced table or figure as Markdown, CSV, Parquet and a picture."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from reproduction import search_output
from reproduction.files import write as write_whole
from reproduction.results import Result, Row
from reproduction.search_results import SearchResult

MISSING = "figures need matplotlib, which is not installed: pip install 'zcfast[figures]'"
HEADINGS = ("benchmark", "accuracy", "proxy", "rows", "paper", "authors", "ours", "95 % interval", "difference", "note")


def check_matplotlib() -> None:
    """Raise an ImportError that says how to get it where matplotlib is missing."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ImportError(MISSING) from error


def write(result: Result | SearchResult, directory: Path) -> list[Path]:
    """Write the four files, each whole or not at all, and return their paths. Errors: OSError, ImportError."""
    from pyarrow import csv, parquet

    check_matplotlib()
    directory.mkdir(parents=True, exist_ok=True)
    table, title = result.to_arrow(), heading(result)
    if isinstance(result, SearchResult):
        text, picture = search_output.markdown(result, title), partial(search_output.draw, result, title)
    else:
        text, picture = markdown(result), partial(draw, result)
    writers: dict[str, Callable[[Path], object]] = {
        "md": lambda path: path.write_text(text, encoding="utf-8"),
        "csv": lambda path: csv.write_csv(table, path),
        "parquet": lambda path: parquet.write_table(table, path),
        "png": picture,
    }
    paths = []
    for ending, writer in writers.items():
        paths.append(directory / f"{result.target}.{ending}")
        write_whole(paths[-1], writer)
    return paths


def markdown(result: Result) -> str:
    """The table as Markdown, with its notes and the sources of the paper's numbers."""
    notes = list(dict.fromkeys(row.note for row in result.rows if row.note))
    lines = [f"# {heading(result)}", ""]
    for measure in dict.fromkeys(row.measure for row in result.rows):
        lines += [f"## {measure}", "", _line(HEADINGS), _line(["---"] * len(HEADINGS))]
        for row in result.rows:
            if row.measure == measure:
                place = str(notes.index(row.note) + 1) if row.note else ""
                lines.append(_line([*list(cells(row).values())[:-1], place]))
        lines.append("")
    lines += [f"{place}. {note}" for place, note in enumerate(notes, 1)] + [""] * bool(notes)
    lines += [f"- {note}" for note in result.notes]
    if any(row.outside for row in result.rows):
        lines.append("- *: the published number lies outside our interval; [why](README.md).")
    sources = dict.fromkeys(row.reference.source for row in result.rows if row.reference.source)
    lines += list(dict.fromkeys(f"- {source}" for text in sources for source in text.split("; ")))
    if any(math.isnan(row.published) for row in result.rows):
        lines.append("- n/a: this number was in no source of the paper that could be read.")
    return "\n".join(lines) + "\n"


def heading(result: Result | SearchResult) -> str:
    """Name and title."""
    name = result.target.replace("table", "Table ").replace("figure", "Figure ")
    return f"{name}: {result.title}"


def cells(row: Row) -> dict[str, str]:
    """A row as text, by HEADINGS; a star marks a published number outside the interval."""
    paper, authors = (math.nan if value is None else value for value in (row.reference.paper, row.reference.authors))
    return {
        "benchmark": row.benchmark,
        "accuracy": row.accuracy,
        "proxy": row.proxy,
        "rows": f"{row.rows:,}" if row.rows else "",
        "paper": number(paper),
        "authors": number(authors),
        "ours": number(row.ours),
        "95 % interval": "n/a" if math.isnan(row.low) else f"{number(row.low)} to {number(row.high)}",
        "difference": number(row.difference, sign=True) + (" *" if row.outside else ""),
        "note": row.note,
    }


def number(value: float, sign: bool = False) -> str:
    """Three digits behind the point of a correlation, one of a count or percentage, n/a for none."""
    if math.isnan(value):
        return "n/a"
    digits = 3 if abs(value) <= 1 else 1
    return f"{value:{'+' if sign else ''}.{digits}f}"


def draw(result: Result, path: Path) -> None:
    """Points with their intervals, one panel a benchmark and measure, the paper's numbers beside them."""
    from matplotlib.figure import Figure

    panels: dict[tuple[str, str], list[Row]] = {}
    first: dict[str, str] = {}  # of several accuracies of a benchmark the first is drawn
    for row in result.rows:
        known = not (math.isnan(row.ours) and math.isnan(row.published))
        if known and first.setdefault(row.benchmark, row.accuracy) == row.accuracy:
            panels.setdefault((f"{row.benchmark} {row.accuracy}".strip(), row.measure), []).append(row)
    columns = min(3, max(1, len(panels)))
    lines = max(1, -(-len(panels) // columns))
    height = 0.6 + 0.26 * max(map(len, panels.values()), default=1)
    figure = Figure(figsize=(4.4 * columns, lines * height + 0.8), layout="constrained")
    figure.suptitle(heading(result))
    axes = figure.subplots(lines, columns, squeeze=False).flatten()
    for axis, ((benchmark, measure), rows) in zip(axes, panels.items(), strict=False):
        _panel(axis, rows)
        axis.set_title(f"{benchmark}\n{measure}", fontsize=7)
    for axis in axes[len(panels) :]:
        axis.set_axis_off()
    if panels:
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", fontsize=7, ncols=2)
    figure.savefig(path, format="png", dpi=80)


def _panel(axis: Any, rows: list[Row]) -> None:
    places = range(len(rows), 0, -1)
    for place, row in zip(places, rows, strict=True):
        axis.plot([row.low, row.high], [place, place], color="tab:blue", linewidth=2)
    axis.plot([row.ours for row in rows], places, "o", color="tab:blue", label="ours, 95 % interval")
    axis.plot([row.published for row in rows], places, "x", color="tab:red", label="paper or authors")
    axis.set_yticks(places, [row.proxy for row in rows])
    axis.set_ylim(0.3, len(rows) + 0.7)
    axis.tick_params(labelsize=7)
    axis.grid(axis="x", linewidth=0.3)


def _line(texts: list[str] | tuple[str, ...]) -> str:
    return "| " + " | ".join(text.replace("|", "\\|") for text in texts) + " |"
