"""Cells and scores as text for a terminal of 80 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table as TextTable

import zcfast
from zcfast.analysis.ranking import spearman, spearman_top, top_fraction_in_top_k

if TYPE_CHECKING:
    from zcfast.scores import Scores
    from zcfast.spaces import Cells
    from zcfast.tables import Table

NASBENCH101_OPERATIONS = ("conv3x3", "conv1x1", "maxpool3x3")
NASBENCH201_OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
NASBENCH201_EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
INDENT = "     "


def best(scores: Scores, by: str, k: int) -> str:
    """The k best architectures by a column, each with its scores, its name in the benchmark's release and a drawing."""
    rows = scores.top(k, by)
    cells = scores.cells[rows]
    space = zcfast.space(scores.space)
    keys = space.keys(cells)
    names = space.format(cells) if keys.dim() == 1 else [bytes(digest).hex() for digest in keys.tolist()]
    blocks = []
    for place, row in enumerate(rows.tolist()):
        values = "   ".join(f"{name} {number(column[row].item())}" for name, column in scores.columns.items())
        lines = [names[place], *draw(scores.space, cells, place)]
        blocks.append("\n".join([f"{place + 1:3d}. {values}", *(INDENT + line for line in lines)]))
    return "\n\n".join(blocks)


def number(value: float) -> str:
    """A count with its thousands apart, any other number with six digits."""
    return f"{value:,}" if isinstance(value, int) else f"{value:.6g}"


def draw(space: str, cells: Cells, row: int) -> list[str]:
    """Lines that show one cell of a batch; none for a space without a drawing."""
    if space == "nasbench101":
        return draw_nasbench101(int(cells.vertices[row]), int(cells.edges[row]), cells.operations[row].tolist())
    if space == "nasbench201":
        return draw_nasbench201(cells.operations[row].tolist())
    return []


def draw_nasbench101(vertices: int, edges: int, operations: list[int]) -> list[str]:
    """A cell as a graph, one line a vertex from input to output.

    Every vertex (◆) sends a rail down from where it stands; where a line to the right leaves the rail (├, ┼, ╰, ┴), it
    feeds the vertex at the line's end. A rail that a line only passes is │.
    """
    labels = ["input", *(NASBENCH101_OPERATIONS[operation] for operation in operations[: vertices - 2]), "output"]
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
            f"{source} → {target}  {NASBENCH201_OPERATIONS[operation]:14}"
            for (source, target), operation in zip(NASBENCH201_EDGES, operations, strict=True)
            if target == node
        ]
        lines.append("".join(into).rstrip())
    return lines


def ranking(scores: Scores, table: Table) -> TextTable:
    """How well every column ranks the headline metrics of a table of accuracies."""
    text = TextTable(title=table.description, title_justify="left", title_style="")
    text.add_column("metric")
    text.add_column("score")
    for heading in ("Spearman", "in top 10 %", "top 5 % in top 64"):
        text.add_column(heading, justify="right")
    index = zcfast.space(scores.space).index(scores.cells).cpu()
    for metric in table.headline:
        accuracies = table.metrics[metric][index]
        for name, column in scores.columns.items():
            over_all, over_top = spearman(column, accuracies), spearman_top(column, accuracies)
            count = top_fraction_in_top_k(column, accuracies)
            text.add_row(metric, name, f"{over_all:.3f}", f"{over_top:.3f}", str(count))
    return text
