"""Cells and scores as text for a terminal of 80 columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from rich.markup import escape
from rich.table import Table as TextTable

from zcfast.analysis import spearman, spearman_top, top_fraction_in_top_k
from zcfast.scores import Scores
from zcfast.scoring import Score
from zcfast.spaces import Cells, NasBench101Cells, NasBench201Cells, nasbench101, nasbench201, space
from zcfast.tables import Table

WIDTH, INDENT, GAP = 80, "     ", "   "


def best(scores: Scores, by: str, k: int) -> str:
    """The k best architectures by a column, each with its scores, its name in the benchmark's release and a drawing.

    Those without a score in the column are left out.
    """
    rows = scores.top(k, by)
    rows = rows[~scores[by][rows].isnan()]
    cells = scores.cells[rows]
    keys = space(scores.space).keys(cells)
    names = space(scores.space).format(cells) if keys.dim() == 1 else [bytes(digest).hex() for digest in keys.tolist()]
    blocks = []
    for place, row in enumerate(rows.tolist()):
        values = [f"{name} {number(column[row].item())}" for name, column in scores.columns.items()]
        first, *more = _lines(values)
        lines = [*more, names[place], *draw(cells[place])]
        blocks.append("\n".join([f"{place + 1:3d}. {first}", *(INDENT + line for line in lines)]))
    return "\n\n".join(blocks)


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
        reason, times = reasons.most_common(1)[0]
        lines.append(f"{name}: no score for {reasons.total():,} of {len(scores):,}; {times:,} of them {reason}")
    return lines


def number(value: float) -> str:
    """A count with its thousands apart, any other number with six digits."""
    return f"{value:,}" if isinstance(value, int) else f"{value:.6g}"


def draw(cell: Cells) -> list[str]:
    """Lines that show a batch of one cell; none for a space without a drawing."""
    if isinstance(cell, NasBench101Cells):
        return draw_nasbench101(int(cell.vertices), int(cell.edges), cell.operations[0].tolist())
    if isinstance(cell, NasBench201Cells):
        return draw_nasbench201(cell.operations[0].tolist())
    return []


def draw_nasbench101(vertices: int, edges: int, operations: list[int]) -> list[str]:
    """A cell as a graph, one line a vertex from input to output.

    Every vertex (◆) sends a rail down from where it stands; where a line to the right leaves the rail (├, ┼, ╰, ┴), it
    feeds the vertex at the line's end. A rail that a line only passes is │.
    """
    labels = ["input", *(nasbench101.SHORT_NAMES[operation] for operation in operations[: vertices - 2]), "output"]
    sources = [[x for x in range(y) if edges >> (x + y * (y - 1) // 2) & 1] for y in range(vertices)]
    last = [max((y for y in range(vertices) if x in sources[y]), default=x) for x in range(vertices)]
    lines = []
    for vertex, feeding in enumerate(sources):
        rails = "".join(_rail(x, vertex, feeding, last[x] > vertex) for x in range(vertex))
        text = f"{vertex} {labels[vertex]}"
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


def draw_nasbench201(operations: list[int]) -> list[str]:
    """A cell as the operations on its six edges, one line for each node that they lead to."""
    lines = []
    for node in (1, 2, 3):
        into = [
            f"{source} → {target}  {nasbench201.OPERATIONS[operation]:14}"
            for (source, target), operation in zip(nasbench201.EDGES, operations, strict=True)
            if target == node
        ]
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
    index = space(scores.space).index(scores.cells).cpu()
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
        text.add_row(name, number(score.value), logarithm, escape(status), f"{score.seconds:.3f}")
    return text
