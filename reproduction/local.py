"""Tables 5 and 13: how scores rank within local neighbourhoods, all architectures one edit away from one."""

from __future__ import annotations

import torch
from torch import Tensor

from reproduction.benchmarks import NASBENCH101, NASBENCH201, UNAVAILABLE, Benchmark
from reproduction.context import Context
from reproduction.paper import reference
from reproduction.results import Result, Row
from zcfast.analysis import bootstrap, local_ranking
from zcfast.spaces import Neighbours

CLUSTERS = 1000
# Target -> title, label, attribute of LocalRanking, factor.
TABLES = {
    "table5": (f"Rank correlation within {CLUSTERS:,} local neighbourhoods", "mean Spearman", "spearman", 1.0),
    "table13": (
        f"How often the best-scored of a neighbourhood is its most accurate, of {CLUSTERS:,}",
        "best picked, in %",
        "best_picked",
        100.0,
    ),
}
# Benchmark's space -> relations of `neighbours`; "both ways" adds the edges that lead back.
BOTH_WAYS = "both ways"
RELATIONS: dict[str, tuple[str, ...]] = {
    "nasbench201": ("operations",),
    "nasbench101": ("operations", "unpruned", "pruned", BOTH_WAYS),
}
INCOMPLETE = "a uniform sample holds no whole neighbourhoods: this needs the scores of every neighbour"


def reproduce(context: Context, target: str) -> Result:
    """One of TABLES."""
    title, label, attribute, factor = TABLES[target]
    rows: list[Row] = []
    notes = ["A neighbourhood is an architecture and all architectures one edit away from it; its size counts both."]
    for benchmark in (*NASBENCH201, NASBENCH101):
        accuracies = context.table(benchmark)[benchmark.accuracy]
        for relation in RELATIONS[benchmark.space]:
            around = neighbourhoods(context, benchmark, relation)
            size = float(around.counts.double().mean())
            text = f"{benchmark.title}, {relation}: {size:.1f} architectures a neighbourhood on average"
            notes += [text] if text not in notes else []
            rows += _rows(context, target, benchmark, f"{label} ({relation})", around, accuracies, attribute, factor)
        smallest = f"{label} ({RELATIONS[benchmark.space][0]})"
        rows.append(Row(benchmark.title, benchmark.accuracy, "sampled proxies", smallest, note=INCOMPLETE))
    rows += [Row(name, "", "all", label, note=reason) for name, reason in UNAVAILABLE.items()]
    return Result(target, title, rows, tuple(notes))


def neighbourhoods(context: Context, benchmark: Benchmark, relation: str) -> Neighbours:
    """CLUSTERS architectures drawn uniformly, each first in the list of itself and its neighbours."""
    space = context.space(benchmark)
    centres = context.drawn(benchmark, CLUSTERS)
    if relation == BOTH_WAYS:
        graph = context.neighbours_both_ways(benchmark)
        lists = [graph[row] for row in centres.tolist()]
    else:
        found = space.neighbours(space.enumerate()[centres], relation)
        lists = [found[row] for row in range(len(centres))]
    members = [torch.cat([centre[None], ids]) for centre, ids in zip(centres, lists, strict=True)]
    counts = torch.tensor([len(each) for each in members])
    return Neighbours(torch.cat([counts.new_zeros(1), counts.cumsum(0)]), torch.cat(members))


def _rows(
    context: Context,
    target: str,
    benchmark: Benchmark,
    label: str,
    around: Neighbours,
    accuracies: Tensor,
    attribute: str,
    factor: float,
) -> list[Row]:
    rows = []
    for name, column in context.closed_forms(benchmark).items():
        each = getattr(local_ranking(column, accuracies, around.offsets, around.ids), attribute)
        interval = bootstrap(_mean, factor * each)
        known = reference(target, benchmark.name, name.removeprefix("expected_"))
        row = Row(benchmark.title, benchmark.accuracy, name, label, reference=known)
        rows.append(row.with_interval(interval, int((~each.isnan()).sum())))
    return rows


def _mean(values: Tensor) -> float:
    return float(values.mean())
