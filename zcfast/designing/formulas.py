"""Considers all rows of a space that counts its sizes by formulas, at once."""

from __future__ import annotations

import torch

from zcfast.designing.considered import Considered
from zcfast.designing.limits import infeasible, within
from zcfast.designing.plan import Plan, Stage, scored
from zcfast.spaces import ClosedForms, Enumerated, Sizes

DRAWN = 1_000  # architectures that are considered where nobody says how many and not all can be


def has_formulas(plan: Plan) -> bool:
    """Whether the space lists its architectures and has a formula for what they cost or for a score."""
    space = plan.space
    return space.offers(Enumerated) is not None and (isinstance(space, Sizes) or space.offers(ClosedForms) is not None)


def by_formulas(plan: Plan) -> tuple[Considered, Stage]:
    """The rows within the limits, as many as are wanted, and their first scores.

    Raises:
        ValueError: no row is within the limits.
    """
    cells = plan.space.capability(Enumerated).enumerate()
    numbers = {cost.name: cost.of(plan.space, cells, **plan.network) for cost in plan.costs}
    kept = within(plan.costs, numbers) if numbers else torch.ones(len(cells), dtype=torch.bool)
    if not bool(kept.any()):
        raise infeasible(plan.costs, numbers)
    rows = kept.nonzero()[:, 0]
    most = plan.evaluations or (DRAWN if plan.first.sampled else len(rows))
    if most < len(rows):
        drawn = torch.randperm(len(rows), generator=torch.Generator().manual_seed(plan.seed))
        rows = rows[drawn[:most].sort().values]
    chosen = cells[rows]
    stage = scored(plan, plan.first, chosen, plan.progress)
    costs = {name: column[rows] for name, column in numbers.items()}
    reasons = _reasons(stage, len(rows))
    everything = torch.ones(len(rows), dtype=torch.bool)
    over = len(cells) - int(kept.sum())
    return Considered(plan.space, chosen, costs, stage.columns, everything, reasons, over), stage


def _reasons(stage: Stage, rows: int) -> list[str]:
    """The first reason of each row that has no score."""
    texts = list(stage.reasons.values())
    return [next(filter(None, each), "") for each in zip(*texts, strict=True)] if texts else [""] * rows
