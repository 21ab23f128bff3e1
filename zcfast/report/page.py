"""How well scores rank accuracies, as one HTML page that opens without a network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from zcfast.analysis.columns import best_scored
from zcfast.analysis.summary import chosen_metrics
from zcfast.errors import check_kind
from zcfast.notebook import number
from zcfast.report import cell_svg, provenance
from zcfast.report.document import rendered
from zcfast.report.numbers import TRAINED, names, numbers
from zcfast.scores import Scores
from zcfast.spaces import Graph, released_names
from zcfast.tables import Table

LEGEND = {
    "conv3": "3×3 convolution",
    "conv1": "1×1 convolution",
    "pool": "3×3 pooling",
    "skip": "skip",
    "none": "none",
}  # kinds of zcfast.spaces.Mark


def html(scores: Scores, table: Table, *, metrics: Sequence[str] | None = None, top: int = 10) -> str:
    """How well scores rank accuracies, as a page for a browser: plots, numbers, the best cells drawn, the protocol.

    The page holds all that it needs and asks for nothing from a network. Scatters of more than 2,000 rows are counts on
    a grid. Every number is that of the function of zcfast.analysis with its name, with that module's policy of ties and
    NaN.

    Args:
        scores: of architectures of the table's space, any number of rows.
        table: their accuracies; it may lack some of the architectures.
        metrics: which of the table's; by default its headline.
        top: how many of the best architectures by each score are listed.

    Returns:
        The HTML. What comes from the scores, their protocol and the table is escaped.

    Errors: ValueError for a table of another space, an unknown metric, none, a negative `top`, cells outside the space;
    ImportError that names the extra where vl-convert-python or Jinja2 is missing.
    """
    check_kind("scores", scores, Scores)
    check_kind("table", table, Table)
    if scores.space.name != table.space:
        raise ValueError(f"table: expected accuracies of {scores.space.name}, got {table.space}")
    if top < 0:
        raise ValueError(f"top: expected a number of rows >= 0, got {top}")
    chosen = chosen_metrics(table, metrics)
    if not chosen:
        raise ValueError("metrics: expected one or more, got none")
    index = scores.keys()
    accuracies = {metric: table.query(index, metric) for metric in chosen}
    best, cells = _best(scores, accuracies, top)
    data = {**names(scores, accuracies, table), "results": numbers(scores, accuracies), "best": best}
    data["points"] = _point_labels(scores, data["results"])
    return rendered(
        "page.html",
        ("charts.js", "common.js", "page.js"),
        data,
        scores=scores,
        table=table,
        title=scores.space.title,
        rows=f"{len(scores):,}",
        trained=TRAINED,
        cells=cells,
        legend=legend(scores),
        columns=provenance.of_columns(scores),
        run=provenance.of_run(scores),
        metrics=provenance.of_metrics(table, chosen, accuracies),
    )


def _best(scores: Scores, accuracies: dict[str, Tensor], top: int) -> tuple[list[Any], list[dict[str, Any]]]:
    """For each score its best rows, and the cells that these rows refer to, each once.

    A row: the cell's number, the score, and by metric the accuracy and its place among all that have one.
    """
    places: dict[int, int] = {}
    lists = []
    for column in scores.columns.values():
        present = (~column.isnan()).nonzero()[:, 0]
        rows = present[best_scored(column[present], top)].tolist() if top and len(present) else []
        lists.append([_best_row(row, places, column, accuracies) for row in rows])
    chosen = scores.cells[list(places)]
    searched = scores.space
    graph = searched.offers(Graph)
    drawn = ["" if graph is None else cell_svg.draw(graph.drawing(chosen[at])) for at in range(len(chosen))]
    labels = released_names(searched, chosen)
    return lists, [{"name": label, "svg": svg} for label, svg in zip(labels, drawn, strict=True)]


def legend(scores: Scores) -> list[tuple[str, str]]:
    """The operations that drawings of the space's architectures have: kind and words."""
    graph = scores.space.offers(Graph)
    kinds = () if graph is None else [mark.kind for mark in graph.marks]
    return [(kind, words) for kind, words in LEGEND.items() if kind in kinds]


def _best_row(row: int, places: dict[int, int], column: Tensor, accuracies: dict[str, Tensor]) -> dict[str, Any]:
    reached = []
    for values in accuracies.values():
        value = values[row].item()
        missing = math.isnan(value)
        place = None if missing else int((values > value).sum()) + 1
        reached.append([None if missing else value, place])
    return {"cell": places.setdefault(row, len(places)), "score": number(column[row].item()), "reached": reached}


def _point_labels(scores: Scores, results: list[dict[str, Any]]) -> dict[int, Any]:
    """The name and the scores of each row that is drawn as a point."""
    drawn = {
        point[2]
        for result in results
        for part in result["scatters"]
        for scatter in part
        for point in scatter.get("points", [])
    }
    rows = sorted(drawn)
    columns = [column[rows].tolist() for column in scores.columns.values()]
    values = [[number(value) for value in row] for row in zip(*columns, strict=True)]
    labels = released_names(scores.space, scores.cells[rows])
    return {row: [name, each] for row, name, each in zip(rows, labels, values, strict=True)}
