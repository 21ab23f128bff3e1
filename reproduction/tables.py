"""Tables 1, 2, 4 and 9 to 12: how scores rank a whole benchmark."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor

from reproduction.benchmarks import NASBENCH101, NASBENCH201, SAMPLED, UNAVAILABLE, Benchmark
from reproduction.context import Context, Sample
from reproduction.paper import reference
from reproduction.results import Result, Row
from reproduction.vote import pairs_ordered
from zcfast.analysis import Interval, bootstrap, precision_at_k, spearman, spearman_top, top_fraction_overlap, vote

PAIRS = "share of pairs ordered rightly"
TOP, BEST, TOP_BEST = 0.1, 64, 0.05  # the paper's top 10 %, and its 64 best-scored among the top 5 %


@dataclasses.dataclass(frozen=True)
class Measure:
    """A number of a column of scores and one of accuracies.

    Attributes:
        label: as it is printed.
        metric: of zcfast.analysis.
        options: of the metric, from the numbers of rows compared and of all rows of the space.
        factor: that the metric is multiplied by.
    """

    label: str
    metric: Callable[..., float]
    options: Callable[[int, int], dict[str, Any]]
    factor: float = 1.0

    def interval(self, scores: Tensor, accuracies: Tensor, size: int) -> Interval:
        """The number with its 95 % interval; `size` is that of the space."""
        rows = int((~(scores.double() + accuracies).isnan()).sum())
        options = self.options(rows, size)
        found = bootstrap(self.metric, scores, accuracies, resamples=resamples(rows), **options)
        scaled = {name: self.factor * getattr(found, name) for name in ("estimate", "low", "high")}
        return dataclasses.replace(found, **scaled)


SPEARMAN = Measure("Spearman, all", spearman, lambda rows, size: {})
SPEARMAN_TOP = Measure("Spearman, top 10 %", spearman_top, lambda rows, size: {"fraction": TOP})
OVERLAP = Measure("top 10 % in top 10 %, in %", top_fraction_overlap, lambda rows, size: {"fraction": TOP}, 100.0)
TOP_64 = Measure(
    "of the 64 best-scored, in the top 5 %",
    precision_at_k,
    lambda rows, size: {"k": max(1, round(BEST * rows / size)), "fraction": TOP_BEST},
    float(BEST),
)
EVERYWHERE = (*NASBENCH201, NASBENCH101)
# Target -> title, measure, benchmarks, and whether the benchmarks that cannot be had belong to it.
TABLES: dict[str, tuple[str, Measure, tuple[Benchmark, ...], bool]] = {
    "table1": ("Spearman's correlation on NAS-Bench-201", SPEARMAN, NASBENCH201, False),
    "table2": ("Spearman's correlation on the other benchmarks", SPEARMAN, (NASBENCH101,), True),
    "table4": ("How many of the 64 best-scored are in the top 5 %", TOP_64, EVERYWHERE, True),
    "table9": ("Spearman's correlation, all benchmarks", SPEARMAN, EVERYWHERE, True),
    "table10": ("Spearman's correlation over the most accurate 10 %", SPEARMAN_TOP, EVERYWHERE, True),
    "table11": ("How many of the 64 best-scored are in the top 5 %, all proxies", TOP_64, EVERYWHERE, True),
    "table12": ("Share of the best-scored 10 % that are in the most accurate 10 %", OVERLAP, EVERYWHERE, True),
}


def reproduce(context: Context, target: str) -> Result:
    """One of TABLES."""
    title, measure, benchmarks, has_others = TABLES[target]
    rows = [row for benchmark in benchmarks for row in rows_of(context, target, benchmark, measure)]
    if has_others:
        rows += [Row(name, "", "all", measure.label, note=reason) for name, reason in UNAVAILABLE.items()]
    notes = ["The intervals of numbers over a whole space say how far a sample of that size could be off."]
    if measure is TOP_64:
        notes.append("Of a sample, the best-scored share that 64 are of the whole space is taken, scaled to 64.")
    return Result(target, title, rows, tuple(notes))


def rows_of(context: Context, target: str, benchmark: Benchmark, measure: Measure) -> list[Row]:
    """The rows of one benchmark, each with what the paper's table says of it."""
    numbers = context.once(("rows", benchmark.name, measure.label), lambda: _numbers(context, benchmark, measure))
    return [
        dataclasses.replace(row, reference=reference(target, benchmark.name, row.proxy.removeprefix("expected_")))
        for row in numbers
    ]


def _numbers(context: Context, benchmark: Benchmark, measure: Measure) -> list[Row]:
    """Closed forms of the whole space, then the sampled proxies and the vote; tables share them."""
    rows = []
    # Other releases and splits matter where the paper's number is known.
    for metric in (benchmark.accuracy, *(benchmark.others if measure is SPEARMAN else ())):
        accuracies = context.table(benchmark)[metric]
        for name, column in context.closed_forms(benchmark).items():
            row = Row(benchmark.title, metric, name, measure.label)
            rows.append(_filled(row, measure.interval(column, accuracies, len(accuracies)), column, accuracies))
        sample = context.sampled(benchmark)
        for row in sampled_rows(benchmark.title, sample, accuracies[sample.rows], measure, len(accuracies)):
            rows.append(dataclasses.replace(row, accuracy=metric))
    return rows


def sampled_rows(title: str, sample: Sample, accuracies: Tensor, measure: Measure, size: int) -> list[Row]:
    """The six proxies and the vote on a sample; `size` is that of the space."""
    row = partial(Row, title, "", measure=measure.label, note=sample.reason)
    if not len(sample.rows):
        return [row(proxy) for proxy in (*SAMPLED, "vote")]
    rows = []
    columns = {**sample.columns, "vote": vote(*_voters(sample))}
    for proxy, column in columns.items():
        rows.append(_filled(row(proxy), measure.interval(column, accuracies, size), column, accuracies))
    if measure is SPEARMAN:
        pairs = dataclasses.replace(row("vote_pairs"), measure=PAIRS)
        interval = pairs_ordered(*_voters(sample), accuracies, resamples(len(accuracies)))
        rows.append(_filled(pairs, interval, columns["vote"], accuracies))
    return rows


def resamples(rows: int) -> int:
    """How many bootstrap resamples: 1,000, fewer where the rows alone make the quantiles narrow."""
    return 1000 if rows <= 5000 else 200


def _voters(sample: Sample) -> tuple[Tensor, Tensor, Tensor]:
    return sample.columns["synflow"], sample.columns["jacob_cov"], sample.columns["snip"]


def _filled(row: Row, interval: Interval, scores: Tensor, accuracies: Tensor) -> Row:
    complete = ~(scores.double() + accuracies).isnan()
    undefined = int(scores.isnan().sum())
    note = "; ".join(text for text in (row.note, f"{undefined} scores are undefined" if undefined else "") if text)
    if math.isnan(interval.estimate):
        note = "; ".join(text for text in (note, "undefined: too few rows or all equal") if text)
    return dataclasses.replace(row, note=note).with_interval(interval, int(complete.sum()))
