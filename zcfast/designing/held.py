"""A design under way: what there is of it at any moment, and what it becomes."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from zcfast.data.provenance import Meaning, Provenance
from zcfast.designing.considered import Considered, Ranking, finished
from zcfast.designing.found import RANK, Design
from zcfast.designing.limits import MEMORY
from zcfast.designing.plan import Plan, Stage, StageInterrupted, combined, scored, with_sets
from zcfast.designing.stages import in_order
from zcfast.version import __version__

_DEFINITION = "share of the ranked architectures that come no earlier: 1 for the best"
_WORK = "multiply-adds of one sample in all products and convolutions that run"
SIZE_MEANINGS = {
    "flops": (_WORK, "multiply-adds"),
    "multiply_adds": (_WORK, "multiply-adds"),
    "params": ("trainable parameters of the network", "parameters"),
    MEMORY: (
        "the most memory that the input and what is made of it take at once in a forward pass of one sample, in "
        "evaluation mode; without parameters and buffers",
        "bytes",
    ),
}


@dataclass(eq=False)
class Held:
    """What Ctrl-C leaves.

    Attributes:
        plan: the arguments.
        study: that proposed the architectures, if one did.
        considered: architectures with their first scores; None before there are any.
        stages: the scores of the stages so far.
        first: what the first stage gives those, [N] float64.
        rows: those that the second stage has scored, the best first by the first stage.
        second: what it gives these once all are scored.
    """

    plan: Plan
    study: Any = None
    considered: Considered | None = None
    stages: tuple[Stage, ...] = ()
    first: Tensor | None = None
    rows: Tensor | None = None
    second: Tensor | None = None

    def hold(self, considered: Considered, stage: Stage) -> None:
        """Take what was considered, with its first scores."""
        stage = with_sets(self.plan.first, stage, {**considered.costs, **considered.scores}, considered.kept)
        considered = replace(considered, scores=stage.columns)
        values = {**considered.costs, **considered.scores}
        self.first = combined(self.plan.first, values, considered.kept)
        self.considered, self.stages = considered, (stage,)

    def rank_again(self) -> None:
        """Score the best anew by the second stage."""
        plan, considered, first = self.plan, self.considered, self.first
        assert plan.second is not None
        assert considered is not None
        assert first is not None
        top = in_order(first, plan.seed)[: plan.keep(int((~first.isnan()).sum()))]
        done, report = len(first), plan.progress
        try:
            stage = scored(plan, plan.second, considered.cells[top], lambda n, of: report(done + n, done + of))
        except StageInterrupted as error:
            self.rows, self.stages = top[error.rows], (*self.stages, error.stage)
            raise
        columns = {name: column[top] for name, column in {**considered.costs, **considered.scores}.items()}
        stage = with_sets(plan.second, stage, {**columns, **stage.columns}, top >= 0)
        second = combined(plan.second, {**columns, **stage.columns}, top >= 0)
        _require_scores(plan, stage, second)
        self.rows, self.stages, self.second = top, (*self.stages, stage), second

    def design(self, interrupted: bool = False) -> Design:
        """The design of what there is; the second stage ranks once all of it is there."""
        plan, considered, first = self.plan, self.considered, self.first
        if considered is None or first is None:
            considered, first = _nothing(plan), torch.zeros(0, dtype=torch.float64)
        rows = torch.zeros(0, dtype=torch.int64) if self.rows is None else self.rows
        again = self.stages[1] if self.rows is not None else Stage({}, {}, {})
        ranking = Ranking(first, rows, again.columns, self.second, again.reasons)
        return replace(
            finished(considered, ranking, _provenance(plan, self.stages, interrupted), plan.seed), study=self.study
        )


def _nothing(plan: Plan) -> Considered:
    none = torch.zeros(0, dtype=torch.float64)
    return Considered(plan.space, plan.space.sample(0), {cost.name: none for cost in plan.costs}, {}, none > 0, [])


def _require_scores(plan: Plan, stage: Stage, second: Tensor) -> None:
    """Raise a ValueError where the second stage gives no architecture a number, so that it would rank nothing."""
    if bool(second.isnan().all()):
        assert plan.second is not None
        absent = [name for name, column in stage.columns.items() if bool(column.isnan().all())]
        names = absent[:1] or list(plan.second.names)
        why = next(filter(None, stage.reasons.get(names[0], [])), "no score is a number")
        raise ValueError(f"by: none of the best {len(second)} of {plan.space.name} has {' and '.join(names)}: {why}")


def _provenance(plan: Plan, made: tuple[Stage, ...], interrupted: bool) -> Provenance:
    """What a reader of the design needs to make it again."""
    meanings = {RANK: Meaning(_DEFINITION, "share", "zcfast")}
    for stage in reversed(made):
        meanings |= stage.meanings
    for cost in plan.costs:
        own = Meaning(getattr(cost.source, "definition", "a cost of the caller's"), "", "the caller")
        meanings[cost.name] = Meaning(*SIZE_MEANINGS[cost.name], plan.space.source) if cost.source is None else own
    used = [plan.first] if plan.second is None else [plan.first, plan.second]
    asked = {
        "limits": {cost.name: cost.most for cost in plan.costs if cost.most < math.inf},
        "minimise": list(plan.minimise),
        "stages": [[f"{'-' if name in each.small else ''}{name}" for name in each.names] for each in used],
        "network": plan.network,
        "seed": plan.seed,
        **({} if plan.trained is None else {"trained": plan.trained}),
        **({"interrupted": True} if interrupted else {}),
    }
    options = {"space": plan.space.title, "network": plan.space.network_options(plan.network), "design": asked}
    return Provenance(__version__, torch.__version__, plan.seed, meanings, options)
