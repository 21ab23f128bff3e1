"""Figures 2 and 3: proxies beside reduced training, and on pretrained models; what of them can be had."""

from __future__ import annotations

import dataclasses

from reproduction.benchmarks import CLOSED, NASBENCH201, SAMPLED, Benchmark
from reproduction.context import Context
from reproduction.paper import benchmarks_of, reference
from reproduction.results import Result, Row
from reproduction.tables import PAIRS, SPEARMAN, resamples, rows_of
from zcfast.analysis import bootstrap, spearman

EPOCHS = 12


def figure2(context: Context) -> Result:
    """Spearman with the final accuracy: of proxies, of one minibatch each, and of the accuracy after few epochs."""
    rows = []
    for benchmark in NASBENCH201:
        rows.append(_short_training(context, benchmark))
        for row in rows_of(context, "figure2", benchmark, SPEARMAN):
            if row.accuracy == benchmark.accuracy and row.proxy not in CLOSED[1:]:
                rows.append(row)
    known = reference("figure2", "nasbench201-cifar10", "econas")
    reason = "needs training with fewer channels, pixels and epochs; no such accuracies are published"
    rows.append(
        Row(NASBENCH201[0].title, NASBENCH201[0].accuracy, "econas", SPEARMAN.label, reference=known, note=reason)
    )
    notes = (
        f"Of the accuracies during training the data has those after {EPOCHS} epochs; a whole curve needs logs of each "
        "epoch. A proxy takes one minibatch, an epoch hundreds.",
        f"The paper's vote is the {PAIRS}, not Spearman's correlation.",
    )
    return Result("figure2", "Proxies and short training on NAS-Bench-201", rows, notes)


def _short_training(context: Context, benchmark: Benchmark) -> Row:
    table = context.table(benchmark)
    metric = f"ep{EPOCHS}_valid_{benchmark.name.removeprefix('nasbench201-')}"
    name = f"accuracy after {EPOCHS} epochs"
    row = Row(benchmark.title, benchmark.accuracy, name, SPEARMAN.label)
    if metric not in table.metrics:
        return dataclasses.replace(row, note=f"the table of accuracies has no {metric}")
    short, final = table[metric], table[benchmark.accuracy]
    interval = bootstrap(spearman, short, final, resamples=resamples(len(final)))
    return row.with_interval(interval, int((~(short + final).isnan()).sum()))


def figure3(context: Context) -> Result:
    """The authors' numbers for models of pytorchcv; ours need these networks and ImageNet's pictures."""
    reason = "needs the networks of pytorchcv and their pictures; zcfast score torch scores one by its import path"
    rows = [
        Row(
            f"pytorchcv {benchmark}",
            "top1",
            proxy,
            SPEARMAN.label,
            reference=reference("figure3", benchmark, proxy),
            note=reason,
        )
        for benchmark in benchmarks_of("figure3")
        for proxy in SAMPLED
    ]
    notes = ("The authors' notebook prints absolute values for six seeds; given here is their mean.",)
    return Result("figure3", "Proxies on pretrained models of pytorchcv", rows, notes)
