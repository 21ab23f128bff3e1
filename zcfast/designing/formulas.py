"""Considers all rows of a space that counts its sizes by formulas, at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from zcfast.designing.considered import Considered
from zcfast.designing.limits import infeasible, within
from zcfast.designing.plan import Plan, Stage, StageInterrupted, scored
from zcfast.order import spread
from zcfast.spaces import ClosedForms, Enumerated, Sizes

DRAWN = 1_000  # architectures that are considered where nobody says how many and not all can be
WITH_OTHERS = 20_000  # architectures of the largest space of which those over a limit are in the design as well


def has_formulas(plan: Plan) -> bool:
    """Whether the space lists its architectures and has a formula for what they cost or for a score."""
    space = plan.space
    return space.offers(Enumerated) is not None and (isinstance(space, Sizes) or space.offers(ClosedForms) is not None)


def by_formulas(plan: Plan, hold: Callable[[Considered, Stage], None]) -> tuple[Considered, Stage]:
    """The rows within the limits, as many as are wanted, and their first scores.

    Where all of a space of at most 20,000 are considered, those over a limit are among them.

    Args:
        plan: the design.
        hold: gets what there is when Ctrl-C comes.

    Raises:
        ValueError: no row is within the limits.
    """
    cells = plan.space.capability(Enumerated).enumerate()
    numbers, rows = rows_within(plan)
    most = plan.evaluations or (DRAWN if plan.first.sampled else len(rows))
    whole = most >= len(rows)
    if not whole:  # nobody has considered the others
        drawn = torch.randperm(len(rows), generator=torch.Generator().manual_seed(plan.seed))
        rows = rows[drawn[:most].sort().values]

    try:
        stage = scored(plan, plan.first, cells[rows], plan.progress)
    except StageInterrupted as error:
        done = rows[error.rows]
        hold(_considered(plan, done, numbers, error.stage), error.stage)
        raise
    found = _considered(plan, rows, numbers, stage)
    if not whole:
        return found, stage
    if len(cells) > WITH_OTHERS:
        return replace(found, left_out=len(cells) - len(rows)), stage
    found = _with_others(found, rows, numbers)
    return found, replace(stage, columns=found.scores)


def _considered(plan: Plan, rows: Tensor, numbers: dict[str, Tensor], stage: Stage) -> Considered:
    """Rows of the space that are within the limits, with their scores."""
    cells = plan.space.capability(Enumerated).enumerate()[rows]
    costs = {name: column[rows] for name, column in numbers.items()}
    reasons = [next(filter(None, each), "") for each in zip(*stage.reasons.values(), strict=True)] or [""] * len(rows)
    return Considered(plan.space, cells, costs, stage.columns, torch.ones(len(rows), dtype=torch.bool), reasons)


def _with_others(found: Considered, rows: Tensor, numbers: dict[str, Tensor]) -> Considered:
    """What was found of some rows as that of all rows of the space, of which the others are over a limit."""
    cells = found.space.capability(Enumerated).enumerate()
    reasons = [""] * len(cells)
    for row, reason in zip(rows.tolist(), found.reasons, strict=True):
        reasons[row] = reason
    scores = {name: spread(column, rows, len(cells)) for name, column in found.scores.items()}
    kept = torch.zeros(len(cells), dtype=torch.bool).index_fill_(0, rows, True)
    return Considered(found.space, cells, numbers, scores, kept, reasons)


def rows_within(plan: Plan) -> tuple[dict[str, Tensor], Tensor]:
    """What all rows of the space cost, [N] by name, and the rows within the limits.

    Raises:
        ValueError: there are none.
    """
    cells = plan.space.capability(Enumerated).enumerate()
    numbers = {cost.name: cost.of(plan.space, cells, **plan.network) for cost in plan.costs}
    kept = within(plan.costs, numbers) if numbers else torch.ones(len(cells), dtype=torch.bool)
    if not bool(kept.any()):
        raise infeasible(plan.costs, numbers)
    return numbers, kept.nonzero()[:, 0]
