"""Writes reproduced comparisons of searches as Markdown, as text and as pictures."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from reproduction.search_results import COUNTS, SearchResult, SearchRow
from zcfast.search import ALGORITHMS

NEVER = "never"
COLOURS = {"": "tab:blue", "warm-up": "tab:orange", "move": "tab:green", "warm-up 15,000": "tab:red"}


@dataclasses.dataclass(frozen=True)
class Block:
    """A table of text."""

    title: str
    headings: list[str]
    lines: list[list[str]]


def blocks(result: SearchResult, brief: bool = False) -> list[Block]:
    """A table of accuracies for each benchmark, one of trainings for each of its targets; brief: without quartiles."""
    made = []
    for benchmark, shown in dict.fromkeys((row.benchmark, row.shown) for row in result.rows):
        rows = [row for row in result.rows if row.benchmark == benchmark]
        accuracies = [row for row in rows if row.trainings in COUNTS]
        if accuracies:
            what = "median" if brief else "median (quartiles)"
            title = f"{benchmark}: {shown} of the best after so many trainings, {what} of the runs"
            made.append(_accuracies(title, accuracies, brief))
        for target in dict.fromkeys(row.target for row in rows if row.target is not None):
            title = f"{benchmark}: trainings until {shown} reaches {target:g}"
            made.append(_trainings(title, [row for row in rows if row.target == target], brief))
    return made


def notes(result: SearchResult) -> list[str]:
    """What there is to know, each thing once."""
    own = dict.fromkeys(f"{row.benchmark}, {row.algorithm}: {row.note}" for row in result.rows if row.note)
    return [*result.notes, *own]


def markdown(result: SearchResult, heading: str) -> str:
    """The tables as Markdown, with notes and the sources of the paper's numbers."""
    lines = [f"# {heading}", ""]
    for block in blocks(result):
        lines += [f"## {block.title}", "", _line(block.headings)]
        lines += [_line(["---", *["---:"] * (len(block.headings) - 1)]), *map(_line, block.lines), ""]
    lines += [f"- {note}" for note in notes(result)]
    lines += [f"- {source}" for source in dict.fromkeys(row.reference.source for row in result.rows) if source]
    if any(row.target is not None for row in result.rows):
        lines.append(
            "- at most: a run's budget; never: not within it, which counts as last; the 95 % interval is the median's."
        )
        lines.append("- [Why numbers differ](README.md#searches).")
        lines.append("- n/a: this number was in no source of the paper that could be read.")
    return "\n".join(lines) + "\n"


def draw(result: SearchResult, heading: str, path: Path) -> None:
    """Curves with quartiles, one panel an algorithm; of a table the trainings to its targets, one panel a target."""
    from matplotlib.figure import Figure

    targets = [row for row in result.rows if row.target is not None]
    families = [name for name in ALGORITHMS if any(row.algorithm.startswith(name) for row in result.rows)]
    if targets:
        panels = dict.fromkeys((row.benchmark, row.target) for row in targets)
        figure = Figure(figsize=(10, 0.6 + 3.4 * math.ceil(len(panels) / 2)), layout="constrained")
        axes = figure.subplots(math.ceil(len(panels) / 2), 2, squeeze=False, sharex=True, sharey=True).flatten()
        for axis, (benchmark, target) in zip(axes, panels, strict=False):
            _draw_trainings(axis, [row for row in targets if (row.benchmark, row.target) == (benchmark, target)])
            axis.set_title(f"{benchmark}\ntrainings to {target:g}", fontsize=8)
        for axis in axes[len(panels) :]:
            axis.set_axis_off()
        handles, labels = axes[len(panels) - 1].get_legend_handles_labels()  # the last target has the paper's numbers
        figure.legend(handles, labels, loc="outside lower center", fontsize=7, ncols=3)
    else:
        figure = Figure(figsize=(3.1 * max(1, len(families)), 3.4), layout="constrained")
        axes = figure.subplots(1, max(1, len(families)), squeeze=False, sharey=True).flatten()
        for axis, family in zip(axes, families, strict=False):
            _draw_curves(axis, [row for row in result.rows if row.algorithm.startswith(family)])
            axis.set_title(family.replace("_", " "), fontsize=9)
        _same_accuracies(axes[0], result.rows)
    figure.suptitle(heading, fontsize=10)
    figure.savefig(path, format="png", dpi=110)


def _accuracies(title: str, rows: list[SearchRow], brief: bool) -> Block:
    counts = sorted({row.trainings for row in rows if row.trainings is not None})
    lines = []
    for algorithm in dict.fromkeys(row.algorithm for row in rows):
        own = {row.trainings: row for row in rows if row.algorithm == algorithm}
        runs = str(next(iter(own.values())).runs)
        lines.append([algorithm, runs, *(_accuracy(own[count], brief) if count in own else "" for count in counts)])
    return Block(title, ["algorithm", "runs", *map(str, counts)], lines)


def _trainings(title: str, rows: list[SearchRow], brief: bool) -> Block:
    lines = [_columns(row) for row in rows]
    left_out = ("at most", "quartiles", "worst run") if brief else ()
    headings = [name for name in lines[0] if name not in left_out]
    return Block(title, headings, [[line[name] for name in headings] for line in lines])


def _columns(row: SearchRow) -> dict[str, str]:
    paper = row.reference.paper
    return {
        "algorithm": row.algorithm,
        "runs": str(row.runs),
        "at most": str(row.budget),
        "reached by": str(row.reached),
        "median": _count(row.median),
        "quartiles": f"{_count(row.lower_quartile)} to {_count(row.upper_quartile)}",
        "worst run": _count(row.worst),
        "95 % interval": f"{_count(row.low)} to {_count(row.high)}",
        "paper": "n/a" if paper is None else f"{paper:g}",
        "difference": "n/a" if math.isnan(row.difference) else f"{row.difference:+g}",
    }


def _accuracy(row: SearchRow, brief: bool) -> str:
    digits = 4 if row.best <= 1 else 2
    quartiles = f" ({row.lower_quartile:.{digits}f}, {row.upper_quartile:.{digits}f})"
    return f"{row.median:.{digits}f}" + ("" if brief else quartiles)


def _count(value: float) -> str:
    return NEVER if math.isnan(value) else f"{value:g}"


def _variant(row: SearchRow) -> str:
    return row.algorithm.partition(" + ")[2]


def _draw_curves(axis: Any, rows: list[SearchRow]) -> None:
    for variant in dict.fromkeys(map(_variant, rows)):
        own = [row for row in rows if _variant(row) == variant]
        counts, colour = [row.trainings for row in own], COLOURS[variant]
        axis.plot(counts, [row.median for row in own], color=colour, label=f"+ {variant}" if variant else "plain")
        quartiles = [[row.lower_quartile for row in own], [row.upper_quartile for row in own]]
        axis.fill_between(counts, *quartiles, color=colour, alpha=0.15, linewidth=0)
    axis.set_xlabel("trainings", fontsize=8)
    axis.legend(fontsize=7, loc="lower right")
    axis.tick_params(labelsize=7)
    axis.grid(linewidth=0.3)


def _same_accuracies(axis: Any, rows: list[SearchRow]) -> None:
    """One range for all panels, from what the worst quarter has after ten trainings."""
    known = [row for row in rows if row.trainings is not None]
    if known:
        low = min(row.lower_quartile for row in known if row.trainings == min(10, row.budget))
        high = max(row.upper_quartile for row in known)
        axis.set_ylim(low, high + 0.05 * (high - low))
        axis.set_ylabel(f"{known[0].shown}, median and quartiles", fontsize=8)


def _draw_trainings(axis: Any, rows: list[SearchRow]) -> None:
    """A point and a line each; an arrow at the budget where the upper quartile is beyond it."""
    places = range(len(rows), 0, -1)
    beyond = [(row.budget, place) for row, place in zip(rows, places, strict=True) if math.isnan(row.upper_quartile)]
    for place, row in zip(places, rows, strict=True):
        ends = [row.budget if math.isnan(value) else value for value in (row.lower_quartile, row.upper_quartile)]
        axis.plot(ends, [place, place], color="tab:blue", linewidth=2)
    axis.plot([row.median for row in rows], places, "o", color="tab:blue", markersize=4, label="median and quartiles")
    axis.plot(
        *zip(*beyond, strict=True) if beyond else ([], []),
        ">",
        color="tab:gray",
        markersize=5,
        label="upper quartile: never",
    )
    known = [(row.reference.paper, place) for row, place in zip(rows, places, strict=True) if row.reference.paper]
    if known:
        axis.plot(*zip(*known, strict=True), "x", color="tab:red", label="paper")
    axis.set_yticks(places, [row.algorithm for row in rows])
    axis.set_xscale("log")
    axis.set_xticks([1, 3, 10, 30, 100, 300], ["1", "3", "10", "30", "100", "300"])
    axis.minorticks_off()
    axis.tick_params(labelsize=7, labelbottom=True)
    axis.grid(axis="x", linewidth=0.3)


def _line(texts: Iterable[str]) -> str:
    return "| " + " | ".join(texts) + " |"
