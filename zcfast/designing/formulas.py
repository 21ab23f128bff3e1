"""Considers all rows of a space that counts its sizes by formulas, at once."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from zcfast.designing.considered import Considered
from zcfast.designing.limits import infeasible, within
from zcfast.designing.plan import Plan, Stage, StageInterrupted, scored
from zcfast.order import spread
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
    most = plan.evaluations or (DRAWN if plan.first.sampled else len(rows))
    whole = most >= len(rows)
    if not whole:  # nobody has considered the others
        drawn = torch.randperm(len(rows), generator=torch.Generator().manual_seed(plan.seed))
        rows = rows[drawn[:most].sort().values]

    def considered(scored_rows: Tensor, stage: Stage, everything: bool) -> tuple[Considered, Stage]:
        """What was scored, with what is over a limit if everything was looked at."""
        chosen = torch.arange(len(cells)) if everything else scored_rows
        at = scored_rows if everything else torch.arange(len(chosen))
        columns = stage.columns
        if len(at) < len(chosen):
            columns = {name: spread(column, at, len(chosen)) for name, column in columns.items()}
        kept = torch.zeros(len(chosen), dtype=torch.bool)
        kept[at] = True
        costs = {name: column[chosen] for name, column in numbers.items()}
        reasons = _reasons(stage, at, len(chosen))
        shown = Considered(plan.space, cells[chosen], costs, columns, kept, reasons)
        return shown, Stage(columns, stage.meanings, {})

    try:
        stage = scored(plan, plan.first, cells[rows], plan.progress)
    except StageInterrupted as error:
        hold(*considered(rows[error.rows], error.stage, False))
        raise
    return considered(rows, stage, whole)


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


def _reasons(stage: Stage, rows: Tensor, size: int) -> list[str]:
    """The first reason of each row that has no score, of so many in all."""
    texts = [""] * size
    for row, each in zip(rows.tolist(), zip(*stage.reasons.values(), strict=True), strict=False):
        texts[row] = next(filter(None, each), "")
    return texts
