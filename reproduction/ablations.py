"""Tables 14 to 16: how much the seed, the initialisation and the size of the minibatch matter."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import torch
from torch import Tensor

from reproduction.benchmarks import NASBENCH201, SAMPLED
from reproduction.context import BATCH_SIZE, Context
from reproduction.paper import reference
from reproduction.results import Result, Row
from reproduction.store import Protocol
from zcfast.analysis import bootstrap, spearman

BENCHMARK = NASBENCH201[0]
SIZE = 100  # architectures of each setting: each is scored under every setting
SEEDS = range(5)
INITIALISATIONS = ("kaiming_fan_out", "kaiming_fan_in", "pytorch")
BATCH_SIZES = (16, 32, 64, 128, 256)
LABEL = "Spearman, all"


@dataclasses.dataclass(frozen=True)
class Ablation:
    """What one table varies.

    Attributes:
        title: of the table.
        vary: the protocols that are scored where there are workers, from the paper's one.
        same: whether a protocol of the store differs from the paper's one in nothing else.
        label: what a row says of its protocol.
    """

    title: str
    vary: Callable[[Context, Protocol], list[Protocol | str]]
    same: Callable[[Protocol, Protocol], bool]
    label: Callable[[Protocol], str]


def _seeds(context: Context, base: Protocol) -> list[Protocol | str]:
    return [dataclasses.replace(base, seed=seed) for seed in SEEDS]


def _initialisations(context: Context, base: Protocol) -> list[Protocol | str]:
    return [context.protocol(BENCHMARK, initialisation=name) for name in INITIALISATIONS]


def _batch_sizes(context: Context, base: Protocol) -> list[Protocol | str]:
    return [context.protocol(BENCHMARK, batch_size=size) for size in BATCH_SIZES]


TABLES = {
    "table14": Ablation(
        "Random seeds",
        _seeds,
        lambda one, base: one.initialisation == base.initialisation and one.batch_size == BATCH_SIZE,
        lambda one: f"seed {one.seed}, minibatch drawn with seed {one.images_seed}",
    ),
    "table15": Ablation(
        "Initialisation of the weights",
        _initialisations,
        lambda one, base: (one.seed, one.sha256) == (base.seed, base.sha256),
        lambda one: f"initialisation {one.initialisation}",
    ),
    "table16": Ablation(
        "Images in the minibatch",
        _batch_sizes,
        lambda one, base: (
            (one.seed, one.images_seed, one.initialisation) == (base.seed, base.images_seed, base.initialisation)
        ),
        lambda one: f"{one.batch_size} images",
    ),
}


def reproduce(context: Context, target: str) -> Result:
    """One of TABLES: Spearman with the accuracy on the same architectures under every setting."""
    ablation = TABLES[target]
    title = f"{ablation.title}: Spearman's correlation on NAS-Bench-201 CIFAR-10"
    base = context.protocol(BENCHMARK)
    if isinstance(base, str):
        return Result(target, title, [Row(BENCHMARK.title, BENCHMARK.accuracy, "all", LABEL, note=base)])
    drawn = context.drawn(BENCHMARK, min(SIZE, context.sample))
    wanted = [each for each in ablation.vary(context, base) if isinstance(each, Protocol)]
    context.score(BENCHMARK, wanted, drawn)
    found = [each for each in _candidates(context, base, wanted) if ablation.same(each, base)]
    every = context.drawn(BENCHMARK, context.sample)
    columns = {each: context.read(each, every) for each in found}
    size = min((len(sample.rows) for sample in columns.values() if len(sample.rows)), default=0)
    accuracies = context.table(BENCHMARK)[BENCHMARK.accuracy][every[:size]]
    rows = []
    for protocol, sample in columns.items():
        known = {proxy: column[:size] for proxy, column in sample.columns.items()}
        rows += _rows(target, ablation.label(protocol), known, accuracies, sample.reason)
    notes = (f"All settings are compared on the same {size:,} architectures, the first of the draw.",)
    return Result(target, title, rows + _spread(rows, len(columns)), notes)


def _candidates(context: Context, base: Protocol, wanted: list[Protocol]) -> list[Protocol]:
    """What is wanted and what the store has of the same networks and pictures, in order."""
    stored = [
        each
        for each in context.store.protocols()
        if (each.space, each.network, each.images, each.batch_norm)
        == (base.space, base.network, base.images, base.batch_norm)
    ]
    order = [each.name for each in dataclasses.fields(Protocol)]
    unique = dict.fromkeys([*wanted, *stored])
    return sorted(
        unique, key=lambda each: [getattr(each, name) for name in ("batch_size", "initialisation", "seed", *order)]
    )


def _rows(target: str, label: str, columns: dict[str, Tensor], accuracies: Tensor, reason: str) -> list[Row]:
    if not len(accuracies) or not len(columns[SAMPLED[0]]):
        return [Row(label, BENCHMARK.accuracy, "all", LABEL, note=reason)]
    rows = []
    for proxy in SAMPLED:
        row = Row(label, BENCHMARK.accuracy, proxy, LABEL, reference=reference(target, label, proxy))
        column = columns[proxy]
        interval = bootstrap(spearman, column, accuracies)
        rows.append(row.with_interval(interval, int((~column.isnan()).sum())))
    return rows


def _spread(rows: list[Row], settings: int) -> list[Row]:
    """Mean and standard deviation of each proxy over the settings that have scores."""
    spread = []
    for proxy in SAMPLED:
        values = torch.tensor([row.ours for row in rows if row.proxy == proxy and not math.isnan(row.ours)])
        if len(values) < 2:
            continue
        row = Row(f"mean of {len(values)} settings", BENCHMARK.accuracy, proxy, LABEL, len(values))
        note = f"standard deviation over the settings {float(values.std()):.3f}"
        spread.append(dataclasses.replace(row, ours=float(values.mean()), note=note))
    return spread
