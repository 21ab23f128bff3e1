"""Considers all rows of a space that counts its sizes by formulas, at once."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from zcfast.designing.considered import Considered
from zcfast.designing.limits import infeasible, within
from zcfast.designing.plan import Plan, Stage, StageInterrupted, scored
from zcfast.spaces import ClosedForms, Enumerated, Sizes

DRAWN = 1_000  # architectures that are considered where nobody says how many and not all can be


def has_formulas(plan: Plan) -> bool:
    """Whether the space lists its architectures and has a formula for what they cost or for a score."""
    space = plan.space
    return space.offers(Enumerated) is not None and (isinstance(space, Sizes) or space.offers(ClosedForms) is not None)


def by_formulas(plan: Plan, hold: Callable[[Considered, Stage], None]) -> tuple[Considered, Stage]:
    """The rows within the limits, as many as are wanted, and their first scores.

    Args:
        plan: the design.
        hold: gets what there is when Ctrl-C comes.

    Raises:
        ValueError: no row is within the limits.
    """
    cells = plan.space.capability(Enumerated).enumerate()
    numbers, rows = rows_within(plan)
    over = len(cells) - len(rows)
    most = plan.evaluations or (DRAWN if plan.first.sampled else len(rows))
    if most < len(rows):
        drawn = torch.randperm(len(rows), generator=torch.Generator().manual_seed(plan.seed))
        rows, over = rows[drawn[:most].sort().values], 0  # nobody has considered the others

    def considered(chosen: Tensor, stage: Stage) -> Considered:
        costs = {name: column[chosen] for name, column in numbers.items()}
        everything = torch.ones(len(chosen), dtype=torch.bool)
        return Considered(
            plan.space, cells[chosen], costs, stage.columns, everything, _reasons(stage, len(chosen)), over
        )

    try:
        stage = scored(plan, plan.first, cells[rows], plan.progress)
    except StageInterrupted as error:
        hold(considered(rows[error.rows], error.stage), error.stage)
        raise
    return considered(rows, stage), stage


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


def _reasons(stage: Stage, rows: int) -> list[str]:
    """The first reason of each row that has no score."""
    texts = list(stage.reasons.values())
    return [next(filter(None, each), "") for each in zip(*texts, strict=True)] if texts else [""] * rows
