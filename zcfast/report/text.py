"""Cells and scores as text for a terminal of 80 columns."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from itertools import pairwise

from rich.table import Table as TextTable

from zcfast.analysis import spearman, spearman_top, top_fraction_in_top_k
from zcfast.notebook import number
from zcfast.scores import Scores
from zcfast.scoring import Score
from zcfast.spaces import Drawing, Graph, released_names
from zcfast.tables import Table

WIDTH, INDENT, GAP = 80, "     ", "   "
_COMMAS = re.compile(r'"(?:[^"\\]|\\.)*"|, ')  # quoted texts, and commas outside of these


def best(scores: Scores, by: str, k: int) -> str:
    """The k best architectures by a column, each with its scores, its name in the benchmark's release and a drawing.

    Those without a score in the column are left out.
    """
    rows = scores.top(k, by)
    rows = rows[~scores[by][rows].isnan()]
    cells = scores.cells[rows]
    graph, names = scores.space.offers(Graph), released_names(scores.space, cells)
    blocks = []
    for place, row in enumerate(rows.tolist()):
        values = [f"{name} {number(column[row].item())}" for name, column in scores.columns.items()]
        first, *more = _lines(values)
        drawn = [] if graph is None else draw(graph.drawing(cells[place]))
        lines = [*more, *wrapped(names[place]), *drawn]
        blocks.append("\n".join([f"{place + 1:3d}. {first}", *(INDENT + line for line in lines)]))
    return "\n\n".join(blocks)


def wrapped(text: str) -> list[str]:
    """A text on as many lines as it needs, broken behind commas outside of quotes alone: JSON stays JSON."""
    ends = [found.end() for found in _COMMAS.finditer(text) if found[0] == ", "]
    lines = [""]
    for start, end in pairwise([0, *ends, len(text)]):
        piece = text[start:end]
        if lines[-1] and len(INDENT + lines[-1] + piece.rstrip()) > WIDTH:
            lines.append("")
        lines[-1] += piece
    return [line.rstrip() for line in lines]


def _lines(items: list[str]) -> list[str]:
    """The items beside each other, none broken, on as many lines as they need."""
    lines = [""]
    for item in items:
        if lines[-1] and len(INDENT + lines[-1] + GAP + item) > WIDTH:
            lines.append("")
        lines[-1] += GAP + item if lines[-1] else item
    return lines


def missing(scores: Scores) -> list[str]:
    """A line for each column in which scores are missing: how many, and the reason that most of them have."""
    lines = []
    for name, texts in scores.reasons.items():
        reasons = Counter(text for text in texts if text)
        for reason, times in reasons.most_common(1):
            lines.append(f"{name}: no score for {reasons.total():,} of {len(scores):,}; {times:,} of them {reason}")
    return lines


def draw(drawing: Drawing) -> list[str]:
    """Lines that show an architecture: as a graph, or as operations on its edges where it has them there."""
    return _edges(drawing) if any(mark for _, _, mark in drawing.edges) else _graph(drawing)


def _graph(drawing: Drawing) -> list[str]:
    """One line a vertex from input to output.

    Every vertex (◆) sends a rail down from where it stands; where a line to the right leaves the rail (├, ┼, ╰, ┴), it
    feeds the vertex at the line's end. A rail that a line only passes is │.
    """
    vertices = len(drawing.vertices)
    sources = [[x for x, target, _ in drawing.edges if target == y] for y in range(vertices)]
    last = [max((y for y in range(vertices) if x in sources[y]), default=x) for x in range(vertices)]
    lines = []
    for vertex, feeding in enumerate(sources):
        rails = "".join(_rail(x, vertex, feeding, last[x] > vertex) for x in range(vertex))
        text = f"{vertex} {drawing.vertices[vertex].name}"
        if feeding:
            text = f"{text:12} ← {', '.join(map(str, feeding))}"
        lines.append(f"{rails + '◆':{3 * vertices}}{text}")
    return lines


def _rail(source: int, vertex: int, feeding: list[int], goes_on: bool) -> str:
    """The three characters of one rail on the line of a vertex."""
    entered = bool(feeding) and feeding[0] < source
    if source in feeding:
        glyph = ("┼" if entered else "├") if goes_on else ("┴" if entered else "╰")
        return glyph + "──"
    glyph = "│" if goes_on else "─" if entered else " "
    return glyph + ("──" if entered else "  ")


def _edges(drawing: Drawing) -> list[str]:
    """One line for each vertex that operations lead to."""
    lines = []
    for vertex in range(1, len(drawing.vertices)):
        into = [f"{x} → {y}  {mark.name if mark else '':14}" for x, y, mark in drawing.edges if y == vertex]
        lines.append("".join(into).rstrip())
    return lines


def ranking(scores: Scores, table: Table) -> TextTable:
    """How well every column ranks the headline metrics of a table of accuracies.

    By metric and score: Spearman's correlation over all cells and over the most accurate 10 %, and how many of the 64
    best-scored cells are among the most accurate 5 %.
    """
    text = TextTable(title=table.description, title_justify="left", title_style="")
    for heading in ("metric", "score"):
        text.add_column(heading, overflow="fold")
    for heading in ("Spearman", "in top 10 %", "top 5 % in 64"):
        text.add_column(heading, justify="right", no_wrap=True)
    index = scores.keys()
    for metric in table.headline:
        accuracies = table.query(index, metric)
        for name, column in scores.columns.items():
            over_all, over_top = spearman(column, accuracies), spearman_top(column, accuracies)
            count = top_fraction_in_top_k(column, accuracies)
            text.add_row(metric, name, f"{over_all:.3f}", f"{over_top:.3f}", str(count))
    return text


def proxies(scores: Mapping[str, Score]) -> TextTable:
    """The scores of one network: value, natural logarithm where it has one, why there is none, time."""
    text = TextTable()
    text.add_column("proxy")
    for heading in ("value", "logarithm"):
        text.add_column(heading, justify="right", no_wrap=True)
    text.add_column("status", overflow="fold")
    text.add_column("seconds", justify="right", no_wrap=True)
    for name, score in scores.items():
        logarithm = "" if score.log_value is None else number(score.log_value)
        status = "ok" if score.status == "ok" else f"{score.status}: {score.reason}"
        text.add_row(name, number(score.value), logarithm, status, f"{score.seconds:.3f}")
    return text
