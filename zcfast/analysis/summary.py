"""Every metric of every column of scores, as one table."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from torch import Tensor

from zcfast.analysis.bootstrap import Metric, bootstrap
from zcfast.analysis.columns import Column, scores_and_accuracies
from zcfast.analysis.correlation import kendall, kendall_top, pearson, pearson_top, spearman, spearman_top
from zcfast.analysis.neighbourhood import local_ranking
from zcfast.analysis.search_cost import best_at_k, regret_at_k, trainings_until_best
from zcfast.analysis.top import precision_at_k, top_fraction_in_top_k, top_fraction_overlap, top_k_overlap
from zcfast.errors import check_kind, unknown
from zcfast.scores import Scores
from zcfast.tables import Table

if TYPE_CHECKING:
    import pyarrow

# Column of the summary -> the metric and its options.
METRICS: dict[str, tuple[Metric, dict[str, float]]] = {
    "spearman": (spearman, {}),
    "spearman_top_10_percent": (spearman_top, {"fraction": 0.1}),
    "kendall": (kendall, {}),
    "kendall_top_10_percent": (kendall_top, {"fraction": 0.1}),
    "pearson": (pearson, {}),
    "pearson_top_10_percent": (pearson_top, {"fraction": 0.1}),
    "overlap_top_10_percent": (top_fraction_overlap, {"fraction": 0.1}),
    "overlap_top_64": (top_k_overlap, {"k": 64}),
    "precision_at_10": (precision_at_k, {"k": 10, "fraction": 0.05}),
    "top_5_percent_in_top_64": (top_fraction_in_top_k, {"fraction": 0.05, "k": 64}),
    "best_at_1": (best_at_k, {"k": 1}),
    "best_at_10": (best_at_k, {"k": 10}),
    "best_at_100": (best_at_k, {"k": 100}),
    "regret_at_1": (regret_at_k, {"k": 1}),
    "regret_at_10": (regret_at_k, {"k": 10}),
    "regret_at_100": (regret_at_k, {"k": 100}),
    "trainings_until_best": (trainings_until_best, {}),
}
LOCAL = ("local_spearman", "local_best_picked")


def summary(
    scores: Scores,
    table: Table,
    *,
    metrics: Sequence[str] | None = None,
    neighbours: tuple[Column, Column] | None = None,
    resamples: int = 0,
    confidence: float = 0.95,
) -> pyarrow.Table:
    """How well every column of scores ranks accuracies: one row for each metric of the table and column.

    Args:
        scores: of architectures of the table's space.
        table: their accuracies.
        metrics: which of the table's; by default its headline.
        neighbours: `offsets` and `ids` of neighbourhoods as `local_ranking` takes them, whose ids are rows of `scores`.
        resamples: of the bootstrap intervals; 0 leaves the intervals out. `bootstrap` says what they mean and cost.
        confidence: of the intervals.

    Returns:
        An Arrow table with the columns `metric`, `score`, `rows` (how many have both), the names of METRICS, and with
        `neighbours` `local_spearman` and `local_best_picked`, the means of `local_ranking`. Accuracies and regrets are
        in the table's unit. With `resamples` each has its interval in `<name>_low` and `<name>_high`; those of the
        local means resample neighbourhoods. All are float64; a value that is undefined is null.

    Rows with NaN in score or accuracy are left out, signs are kept; ties are treated as each metric says.
    Errors: ValueError for a table of another space, an unknown metric, cells outside the space, a negative `resamples`,
    and those of `bootstrap` and `local_ranking`.
    Source: Abdelfattah et al., "Zero-Cost Proxies for Lightweight NAS", ICLR 2021, section 4 and appendix.
    """
    import pyarrow

    check_kind("scores", scores, Scores)
    check_kind("table", table, Table)
    if scores.space.name != table.space:
        raise ValueError(f"table: expected accuracies of {scores.space.name}, got {table.space}")
    if resamples < 0:
        raise ValueError(f"resamples: expected a number >= 0, got {resamples}")
    if neighbours is not None and not (isinstance(neighbours, tuple | list) and len(neighbours) == 2):
        came = type(neighbours).__name__
        raise ValueError(f"neighbours: expected offsets and ids, such as (graph.offsets, graph.ids), got {came}")
    index = scores.keys()
    measure = partial(_measure, resamples=resamples, confidence=confidence)
    rows = []
    for metric in chosen_metrics(table, metrics):
        accuracies = table.query(index, metric)
        for name, column in scores.columns.items():
            values = _values(column, accuracies, neighbours, measure)
            rows.append({"metric": metric, "score": name, **values})
    return pyarrow.Table.from_pylist(rows, schema=_schema(neighbours is not None, resamples > 0))


def chosen_metrics(table: Table, metrics: Sequence[str] | None) -> tuple[str, ...]:
    """The names of metrics of a table, by default its headline.

    Errors: ValueError for an unknown name and for one name that is no list.
    """
    if isinstance(metrics, str):
        raise ValueError(f"metrics: expected a list of names, got the string {metrics!r}")
    chosen = table.headline if metrics is None else tuple(metrics)
    for metric in chosen:
        if metric not in table.metrics:
            raise unknown("metric", metric, table.metrics)
    return chosen


def _values(
    scores: Tensor,
    accuracies: Tensor,
    neighbours: tuple[Column, Column] | None,
    measure: Callable[..., dict[str, float | None]],
) -> dict[str, float | None]:
    """The numbers of one row of the summary."""
    columns = scores_and_accuracies(scores, accuracies)
    values: dict[str, float | None] = {"rows": len(columns[0])}
    for name, (metric, options) in METRICS.items():
        values |= measure(name, metric, *columns, **options)
    if neighbours is not None:
        local = local_ranking(scores, accuracies, *neighbours)
        for name, each in zip(LOCAL, (local.spearman, local.best_picked), strict=True):
            values |= measure(name, _mean, each)
    return values


def _measure(
    name: str, metric: Metric, *columns: Tensor, resamples: int, confidence: float, **options: Any
) -> dict[str, float | None]:
    """The metric under its name, and its interval where there are resamples."""
    if not resamples:
        return {name: _or_null(metric(*columns, **options))}
    interval = bootstrap(metric, *columns, resamples=resamples, confidence=confidence, **options)
    values = {name: interval.estimate, f"{name}_low": interval.low, f"{name}_high": interval.high}
    return {column: _or_null(value) for column, value in values.items()}


def _or_null(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else float(value)


def _mean(values: Tensor) -> float:
    return float(values.nanmean())


def _schema(local: bool, intervals: bool) -> pyarrow.Schema:
    import pyarrow

    fields = [("metric", pyarrow.string()), ("score", pyarrow.string()), ("rows", pyarrow.int64())]
    for name in (*METRICS, *(LOCAL if local else ())):
        endings = ("", "_low", "_high") if intervals else ("",)
        fields += [(name + ending, pyarrow.float64()) for ending in endings]
    return pyarrow.schema(fields)
