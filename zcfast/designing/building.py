"""Considers architectures that have to be built: batch after batch, in processes where there are some."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from zcfast.designing.considered import Considered
from zcfast.designing.limits import infeasible, within
from zcfast.designing.look import BUILT, TEXT, Look, questions
from zcfast.designing.plan import Plan, Stage
from zcfast.designing.proposals import Drawn, Listed, Proposals
from zcfast.designing.whole import Unsampled
from zcfast.errors import Notice
from zcfast.order import spread
from zcfast.scoring.architectures import claims, described_as, task_of
from zcfast.scoring.execution import InProcess, Run, each_once
from zcfast.scoring.fingerprint import fingerprint, package
from zcfast.scoring.store import Row
from zcfast.spaces import Cells, Enumerated, Texts

BATCH = 64  # proposals between two looks at what came; a generation of NSGA-II
STALE = 30  # batches without a new architecture after which there are no more
DRAWN = 1_000  # architectures that are considered where nobody says how many and not all can be
LISTED = 10_000  # the most that are all considered where nobody says how many
MISSING = "design proposes architectures by Optuna, which is not installed: pip install 'zcfast[design]'"


def proposals(plan: Plan, sampler: Any, storage: Any, study_name: str | None) -> tuple[Proposals, Look, int]:
    """What proposes architectures, what looks at them, and how many are considered.

    Raises:
        ImportError: Optuna is needed and missing.
    """
    space, listed, whole = plan.space, plan.space.offers(Enumerated), considers_all(plan)
    asked = {} if whole and sampler is None and storage is None else questions(space)
    most = plan.evaluations or DRAWN
    if listed is not None:
        most = len(listed) if whole else min(most, len(listed))
    task = None
    if plan.first.sampled:
        task = task_of(
            space,
            list(plan.first.sampled.values()),
            seed=plan.seed,
            one_thread=plan.executor is not None,
            **_weights(plan),
            **plan.scoring,
        )
    look = Look(space, asked, plan.costs, task, plan.network)
    if asked:
        try:
            from zcfast.designing.studies import Asked, in_order
        except ImportError as error:
            raise ImportError(MISSING) from error
        names = [f"-{name}" if sign < 0 else name for name, sign in objectives(plan)]
        name, sampler = study_name or space.name, in_order(space, asked) if whole else sampler
        made = Asked(asked, plan.costs, names, sampler=sampler, storage=storage, name=name, seed=plan.seed)
        return made, look, most
    for argument, value in (("sampler", sampler), ("storage", storage)):
        if value is not None:
            raise ValueError(f"{argument}: expected a space with choices (zcfast.spaces.Decisions), got {space.name}")
    return (Drawn(space, plan.seed) if listed is None else Listed(space, most, plan.seed)), look, most


def considers_all(plan: Plan) -> bool:
    """Whether all architectures of a listed space are considered, so that none has to be chosen."""
    listed = plan.space.offers(Enumerated)
    return listed is not None and len(listed) <= (plan.evaluations or LISTED)


def _weights(plan: Plan) -> dict[str, Any]:
    """How weights are drawn, where the caller says."""
    return {name: plan.own[name] for name in ("initialisation",) if name in plan.own}


def objectives(plan: Plan) -> list[tuple[str, float]]:
    """What a study maximises: the names of scores and costs, each with -1 where a small number is the better."""
    return list(dict.fromkeys([*plan.first.told, *((name, -1.0) for name in plan.minimise)]))


def by_building(
    plan: Plan, made: Proposals, look: Look, most: int, hold: Callable[[Considered, Stage], None]
) -> tuple[Considered, Stage]:
    """Up to so many different architectures with their costs and first scores.

    Args:
        plan: the design.
        made: proposes architectures.
        look: looks at them.
        most: how many are considered.
        hold: gets what there is when Ctrl-C comes.

    Raises:
        ValueError: no architecture is within the limits.
    """
    claimed = _claims(plan, look)
    known: dict[str, Row] = dict(made.begin(fingerprint({**claimed, "told": _told(plan)})))
    if plan.parts is not None:
        known |= plan.parts.begin(claimed, ())
    search = _Search(plan, made, Unsampled(plan), known)
    try:
        with (plan.executor or InProcess()).session(look) as run:
            search.run(run, most)
        return _considered(plan, list(search.tried.values()), search.unsampled)
    except KeyboardInterrupt:
        hold(*_columns(plan, list(search.tried.values()), search.unsampled))
        raise


@dataclass
class _Search:
    """Batch after batch of proposals.

    Attributes:
        plan, made, unsampled: the design, what proposes, and the scores that take no network.
        known: rows of this run and of earlier ones, by proposal.
        tried: rows of different architectures by their texts, in the order in which they were proposed; equal choices
            are counted once.
    """

    plan: Plan
    made: Proposals
    unsampled: Unsampled
    known: dict[str, Row]
    tried: dict[str, Row] = field(default_factory=dict)

    def run(self, run: Run[str, Row], most: int) -> None:
        """Look at up to so many architectures."""
        stale, batch = 0, list[str]()
        try:
            while len(self.tried) < most and stale < STALE:
                before = len(self.tried)
                batch = self.made.next(min(BATCH, most - before))
                if not batch:
                    break
                self._look(run, batch, most)
                rows = [self.known[each] for each in batch]
                if self.made.learns:
                    self.made.tell(batch, rows, _scores(self.plan, rows, self.unsampled))
                self._add(rows)
                stale = stale + 1 if len(self.tried) == before else 0
                self.plan.progress(len(self.tried), most)
            if len(self.tried) < most:
                said = f"{len(self.tried):,} architectures of {most:,} are considered, as no others were proposed"
                warnings.warn(Notice(f"evaluations: {said}"), stacklevel=2)
        except KeyboardInterrupt:
            looked = {each: self.known[each] for each in batch if each in self.known}
            self.made.keep(looked)
            self._add(looked.values())
            raise

    def _look(self, run: Run[str, Row], batch: Sequence[str], most: int) -> None:
        parts, before = self.plan.parts, len(self.tried)
        if parts is not None:
            parts.want(batch)
        new = [each for each in dict.fromkeys(batch) if each not in self.known]
        with closing(each_once(run(new), len(new))) as results:
            for done, (place, row) in enumerate(results, 1):
                self.known[new[place]] = row
                if parts is not None:
                    parts.keep(new[place], row)
                self.plan.progress(min(before + done, most), most)

    def _add(self, rows: Iterable[Row]) -> None:
        for row in rows:
            self.tried.setdefault(row[TEXT][1], row)


def _scores(plan: Plan, rows: Sequence[Row], unsampled: Unsampled) -> list[list[float] | None]:
    """What a study is told of each row: its objectives; None where it is over a limit or lacks one that others have.

    One that no row has, as attention's of a space of convolutions, is the same for all: minus infinity.
    """
    considered, stage = _columns(plan, rows, unsampled)
    unsampled.require_alone(considered.cells[considered.kept])
    columns = {**considered.costs, **stage.columns}
    values = [sign * columns[name].double() for name, sign in objectives(plan)]
    if not all(bool(each.isnan().all()) for each in values):
        values = [torch.full_like(each, -math.inf) if bool(each.isnan().all()) else each for each in values]
    whole = considered.kept & ~torch.stack(values).isnan().any(0)
    return [[each[row].item() for each in values] if whole[row] else None for row in range(len(rows))]


def _considered(plan: Plan, rows: Sequence[Row], unsampled: Unsampled) -> tuple[Considered, Stage]:
    considered, stage = _columns(plan, rows, unsampled)
    if not bool(considered.kept.any()):
        why = [reason for reason in considered.reasons if reason]
        if len(why) == len(rows):
            none = f"none of {len(rows):,} architectures can be built and measured"
            raise ValueError(f"{plan.space.name}: {none}: {why[0]}")
        built = torch.tensor([not reason for reason in considered.reasons])
        raise infeasible(plan.costs, {name: column[built] for name, column in considered.costs.items()})
    return considered, stage


def _columns(plan: Plan, rows: Sequence[Row], unsampled: Unsampled) -> tuple[Considered, Stage]:
    """Rows as columns, with the first scores that take no network of their own."""
    costs = {cost.name: _column(rows, cost.name) for cost in plan.costs}
    reasons = [row[BUILT][1] for row in rows]
    kept = torch.tensor([not reason for reason in reasons], dtype=torch.bool)
    kept &= within(plan.costs, costs) if costs else kept
    sampled = {name: _column(rows, name) for name in plan.first.sampled}
    texts = [[row.get(name, (math.nan, ""))[1] for row in rows] for name in sampled]
    reasons = [
        reason or next(filter(None, more), "") for reason, more in zip(reasons, _each(texts, len(rows)), strict=True)
    ]
    cells = _cells(plan, [row[TEXT][1] for row in rows])
    others = unsampled.of(cells[kept]) if bool(kept.any()) else Stage({}, {}, {})
    unsampled_scores = {name: spread(column, kept, len(kept)) for name, column in others.columns.items()}
    meanings = {**others.meanings, **{name: described_as(proxy) for name, proxy in plan.first.sampled.items()}}
    stage = Stage({**sampled, **unsampled_scores}, meanings, {})
    return Considered(plan.space, cells, costs, stage.columns, kept, reasons), stage


def _each(texts: list[list[str]], rows: int) -> list[tuple[str, ...]]:
    return list(zip(*texts, strict=True)) if texts else [()] * rows


def _column(rows: Sequence[Row], name: str) -> Tensor:
    return torch.tensor([row.get(name, (math.nan, ""))[0] for row in rows], dtype=torch.float64)


def _cells(plan: Plan, texts: list[str]) -> Cells:
    """The architectures of texts that the space itself has written, which therefore need no check."""
    kind: Cells = plan.space.sample(0)
    return Texts(tuple(texts)) if isinstance(kind, Texts) else plan.space.parse(texts) if texts else kind


def _told(plan: Plan) -> list[Any]:
    """All that the values of a study's trials depend on beside their rows."""
    return [objectives(plan), plan.own, plan.first.ranker]


def _claims(plan: Plan, look: Look) -> dict[str, Any]:
    """All that a row depends on beside the proposal, as JSON values."""
    of_task = {} if look.task is None else claims(look.task, list(plan.first.sampled.values()))
    return {
        "zcfast": package(),
        "torch": torch.__version__,
        "space": [plan.space.name, fingerprint(plan.space)],
        "costs": {cost.name: [cost.most, fingerprint(cost.source)] for cost in plan.costs},
        "network": plan.network,
        "questions": [str(choice) for choice in look.questions.values()],
        "scores": of_task,
    }
