"""Architectures with their costs and first scores, and how they become a design."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from zcfast.data.provenance import Provenance
from zcfast.designing.found import RANK, Design
from zcfast.designing.stages import in_order
from zcfast.order import best_first, spread
from zcfast.scores import Scores
from zcfast.spaces import Cells, SearchSpace

OVER, FAILED, BEHIND = "over a limit", "no score", "not among the best of the first stage"


@dataclass(eq=False)
class Considered:
    """N architectures that were looked at.

    Attributes:
        space, cells: the architectures.
        costs: numbers [N] by name, NaN where there is none.
        scores: of the first stage, [N] by name, NaN where there is none.
        kept: which keep to all limits, bool [N].
        reasons: why an architecture has no network or no score, "" where it has.
        left_out: how many more were looked at, all of them over a limit.
    """

    space: SearchSpace[Any]
    cells: Cells
    costs: dict[str, Tensor]
    scores: dict[str, Tensor]
    kept: Tensor
    reasons: list[str]
    left_out: int = 0


@dataclass(eq=False)
class Ranking:
    """An order of what was considered.

    Attributes:
        first: [N] float64, higher is better, NaN for what is not ranked.
        second: scores of the best rows anew, by name, [K] each.
        combined: of these rows by the second stage, [K]; None where it does not rank.
        rows: the K rows, best first by the first stage.
        reasons: of the second stage's scores, by name.
    """

    first: Tensor
    rows: Tensor
    second: dict[str, Tensor] = dataclasses.field(default_factory=dict)
    combined: Tensor | None = None
    reasons: dict[str, list[str]] = dataclasses.field(default_factory=dict)


def finished(considered: Considered, ranking: Ranking, provenance: Provenance, seed: int) -> Design:
    """The design of an order: its best rows first."""
    order = in_order(ranking.first, seed)
    if ranking.combined is not None:
        top = ranking.rows[best_first(ranking.combined)]  # equal ones, and those without a score, as the first stage
        order = torch.cat([top, order[~torch.isin(order, top)]])
    ranked = int((~ranking.first.isnan()).sum())
    place = torch.full((len(order),), torch.nan, dtype=torch.float64)
    place[:ranked] = 1 - torch.arange(ranked, dtype=torch.float64) / max(1, ranked)
    kept = considered.kept.tolist()
    why = [reason or ("" if each else OVER) for reason, each in zip(considered.reasons, kept, strict=True)]
    again, reasons = _spread(considered, ranking, why)
    costs = {name: _whole(column) for name, column in considered.costs.items()}
    columns = {RANK: place, **{name: column[order] for name, column in {**again, **considered.scores, **costs}.items()}}
    rows = order.tolist()
    reasons = {name: [texts[row] for row in rows] for name, texts in reasons.items()}
    if any(why):
        why = [why[row] for row in rows]
        reasons |= {name: _where_missing(column, why) for name, column in columns.items() if name not in again}
    made = dataclasses.replace(
        provenance,
        columns={name: meaning for name, meaning in provenance.columns.items() if name in columns},
        options={
            **provenance.options,
            "design": {**provenance.options["design"], **_counts(considered, ranking)},
        },
    )
    given = {name: texts for name, texts in reasons.items() if any(texts)}
    return Design(Scores(considered.space, considered.cells[order], columns, made, given))


def _counts(considered: Considered, ranking: Ranking) -> dict[str, int]:
    """How many were considered and how they ended."""
    unranked = ranking.first.isnan().tolist()
    return {
        "within": int(considered.kept.sum()),
        "failed": sum(bool(why) and missing for why, missing in zip(considered.reasons, unranked, strict=True)),
        "considered": len(considered.cells) + considered.left_out,
        "second": 0 if ranking.combined is None else len(ranking.rows),
    }


def _spread(considered: Considered, ranking: Ranking, why: list[str]) -> tuple[dict[str, Tensor], dict[str, list[str]]]:
    """The second stage's scores as columns of all rows, and why most rows have none."""
    columns, reasons = {}, {}
    for name, values in ranking.second.items():
        column = spread(values, ranking.rows, len(considered.cells))
        texts = [text or BEHIND for text in why]
        for row, text in zip(ranking.rows.tolist(), ranking.reasons.get(name, [""] * len(values)), strict=True):
            texts[row] = text
        columns[name], reasons[name] = column, texts
    return columns, reasons


def _where_missing(column: Tensor, texts: list[str]) -> list[str]:
    if not bool(column.isnan().any()):
        return []
    return [text if missing else "" for text, missing in zip(texts, column.isnan().tolist(), strict=True)]


def _whole(column: Tensor) -> Tensor:
    """Whole numbers as int64, for those who read them."""
    whole = bool((column.abs() < 2**53).all()) and bool((column == column.round()).all())
    return column.long() if whole else column
