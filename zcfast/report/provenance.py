"""How scores and accuracies were made, as rows of text."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from typing import Any

from torch import Tensor

from zcfast.scores import Scores
from zcfast.tables import Table

Rows = list[tuple[str, str]]


def of_columns(scores: Scores) -> list[tuple[str, Rows]]:
    """For each column: what it means, how many rows have a score, and why others have none."""
    meanings = {name: dataclasses.asdict(each) for name, each in scores.provenance.columns.items()}
    return [(name, [*flat(meanings.get(name, {})), *_counts(scores, name)]) for name in scores.columns]


def of_run(scores: Scores) -> Rows:
    """What all columns share."""
    return flat(scores.provenance.run())


def of_metrics(table: Table, metrics: tuple[str, ...], accuracies: dict[str, Tensor]) -> list[tuple[str, Rows]]:
    """For each metric: data set, split, epochs, unit, seeds, and how many of the scored architectures have it."""
    result = []
    for name in metrics:
        metric = table.metrics[name]
        seeds = ", ".join(map(str, metric.seeds)) or "one number an architecture"
        epochs = "not said" if metric.epochs is None else str(metric.epochs)
        rows = [("data set", metric.dataset or "not said"), ("split", metric.split or "not said"), ("epochs", epochs)]
        found = int((~accuracies[name].isnan()).sum())
        rows += [("unit", metric.unit), ("seeds", seeds), ("found for", f"{found:,} of {len(accuracies[name]):,}")]
        result.append((name, rows))
    return result


def flat(value: Any, key: str = "") -> Rows:
    """JSON as pairs of a dotted key and a text."""
    if isinstance(value, dict):
        return [row for name, each in value.items() for row in flat(each, f"{key}.{name}" if key else str(name))]
    return [(key or "value", value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))]


def _counts(scores: Scores, name: str) -> Rows:
    column = scores.columns[name]
    missing, zeros = int(column.isnan().sum()), int((column == -float("inf")).sum())
    rows = [("scored", f"{len(column) - missing:,} of {len(column):,}")]
    if zeros:
        rows.append(("-inf", f"{zeros:,}: a score of zero, ranked last"))
    if missing:
        reasons = Counter(text or "no reason given" for text in scores.reasons.get(name, []) if text)
        rows += [("no score", f"{times:,}: {text}") for text, times in reasons.most_common()]
        if unexplained := missing - reasons.total():
            rows.append(("no score", f"{unexplained:,}: no reason given"))
    return rows
