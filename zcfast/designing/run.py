"""The best networks of a search space under limits, without training."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import torch

from zcfast.data.provenance import Meaning, Provenance
from zcfast.designing.building import by_building, proposals
from zcfast.designing.considered import Considered, Ranking, finished
from zcfast.designing.formulas import by_formulas, has_formulas
from zcfast.designing.found import RANK, Design
from zcfast.designing.limits import costs
from zcfast.designing.look import BUILT, TEXT
from zcfast.designing.plan import Plan, Progress, Stage, combined, scored
from zcfast.designing.stages import RECOMMENDED, By, Stages, in_order, stages, terms
from zcfast.errors import integer
from zcfast.scoring.architectures import ScoringInterrupted, minibatch
from zcfast.scoring.execution import Executor, InProcess, Processes
from zcfast.scoring.space import own_options
from zcfast.scoring.store import Store
from zcfast.spaces import SearchSpace, as_space
from zcfast.spaces.base import WEIGHTS
from zcfast.version import __version__

_DEFINITION = "share of the ranked architectures that come no earlier: 1 for the best"
_SIZES = {
    "flops": ("multiply-adds of one sample in the counted layers", "multiply-adds"),
    "params": ("trainable parameters of the network", "parameters"),
}
_OF_SCORES = ("loss_fn", "logits", "layers")  # options of zcfast.score


class DesignInterrupted(KeyboardInterrupt):
    """Ctrl-C, with the design of what was considered so far."""

    def __init__(self, found: Design) -> None:
        """Take the design."""
        super().__init__(f"{found.protocol['considered']} architectures were considered")
        self.found = found


def design(
    space: str | SearchSpace[Any],
    *,
    by: By | Stages = RECOMMENDED,
    limits: Mapping[str, Any] | None = None,
    minimise: Sequence[str] = (),
    evaluations: int | None = None,
    seed: int = 0,
    workers: int | None = None,
    executor: Executor | None = None,
    images: Any = None,
    device: str = "cpu",
    parts: str | os.PathLike[str] | Store | None = None,
    progress: Progress | None = None,
    sampler: Any = None,
    storage: Any = None,
    study_name: str | None = None,
    **options: Any,
) -> Design:
    """The best architectures of a space under limits, by scores that need no training.

        found = zcfast.design(space, limits={"flops": 450e6, "params": 5e6}, evaluations=10_000)
        found.best.build()

    An architecture over a limit is rejected before any of its weights is drawn. Of the others the first stage's scores
    choose a few, and the second stage's rank these anew. Equal ranks are put in an order that the seed draws.

    Args:
        space: a search space, its name or its import path.
        by: what ranks: "recommended"; a name or a proxy, where "-snip" ranks a small snip first; several of these, by
            the sum of the logarithms of their ranks; an object with ``rank(space, cells)``, numbers [N] of which higher
            ones are better; or ``zcfast.designing.Stages`` of two of these.
        limits: the most that an architecture may have, by name: "flops" (multiply-adds of one sample) and "params" of
            any space that counts them, and under any name of the user's own a pair (column, number), the column being
            numbers of all rows of an enumerated space or a function of space and cells.
        minimise: names of costs to trade off against the score, see ``Design.pareto``.
        evaluations: how many architectures are considered, those over a limit included where they have to be built to
            know; by default all of a listed space, or 1,000.
        seed: of what is drawn: architectures, weights, the order of equal ranks.
        workers: processes that score, of one thread each; results are bit-identical for any number of them. By default
            this process scores.
        executor: scores in place of workers.
        images: the minibatch (inputs, targets) of sampled proxies; by default the space's example.
        device: "cpu" or "cuda", where networks run.
        parts: a directory, or a ``Store`` that is entered, which keeps what was scored: the same call goes on where an
            interrupted one ended.
        progress: called with the number of architectures done and of all.
        sampler: what Optuna proposes architectures of a large space by: "nsga2" (the default), "nsga3", "gp", "tpe",
            "qmc", "random", "brute_force" or one of its samplers, with a seed of its own.
        storage: of Optuna, which gets every trial: a URL, or a storage such as one of a journal file. The same call
            goes on where an interrupted one ended.
        study_name: of the study there; the name of the space by default.
        options: of the network; ``loss_fn``, ``logits`` and ``layers`` of ``zcfast.score``.

    Raises:
        ValueError, TypeError: a wrong argument; limits that no architecture keeps to, with how near they come; no
            architecture with a score, with a reason.
        DesignInterrupted: Ctrl-C, with what was found so far.
    """
    searched: SearchSpace[Any] = as_space(space)
    for name, value, least in (("seed", seed, 0), ("evaluations", evaluations, 1), ("workers", workers, 1)):
        if value is not None and integer(name, value) < least:
            raise ValueError(f"{name}: expected a number >= {least}, got {value}")
    if workers is not None and executor is not None:
        raise ValueError("executor: expected it or workers, got both")
    batch = minibatch(searched, images, [])
    wanted = stages(searched, by, batch is not None)
    own = {name: options.pop(name) for name in own_options(searched) if name in options}
    of_scores = {name: options.pop(name) for name in _OF_SCORES if name in options}
    network = dict(options if batch is None else searched.fitting(batch, options))
    runner = executor or (None if workers is None and parts is None else _processes(workers or 1))
    with nullcontext(parts) if parts is None or isinstance(parts, Store) else Store(parts) as store:
        plan = Plan(
            searched,
            costs(searched, limits, minimise),
            terms(searched, wanted.first),
            None if wanted.second is None else terms(searched, wanted.second),
            wanted.kept,
            tuple(minimise),
            evaluations,
            seed,
            {name: value for name, value in network.items() if name not in WEIGHTS},
            own,
            {"images": images, "device": device, **of_scores, **options},
            runner,
            store,
            progress or (lambda done, of: None),
        )
        _require_other_names(plan)
        if has_formulas(plan) and sampler is None and storage is None:
            return _ranked(plan, *by_formulas(plan))
        made, look, most = proposals(plan, sampler, storage, study_name)
        considered, stage, interrupted = by_building(plan, made, look, most)
        return _ranked(plan, considered, stage, getattr(made, "study", None), interrupted)


def _processes(workers: int) -> Executor:
    return Processes(workers) if workers > 1 else InProcess()


def _ranked(plan: Plan, considered: Considered, stage: Stage, study: Any = None, interrupted: bool = False) -> Design:
    """Order what was considered, and score the best of it again where there is a second stage."""
    values = {**considered.costs, **considered.scores}
    first = combined(plan.first, values, considered.kept)
    if bool(first.isnan().all()):
        why = next(filter(None, considered.reasons), "no score is a number")
        raise ValueError(f"{plan.space.name}: none of {len(first):,} architectures has a score: {why}")
    top = in_order(first, plan.seed)[: plan.keep(int((~first.isnan()).sum()))]
    alone = replace(finished(considered, Ranking(first, top[:0]), _provenance(plan, [stage]), plan.seed), study=study)
    if interrupted:
        raise DesignInterrupted(alone)
    if plan.second is None:
        return alone
    done, base = len(first) + considered.over, plan.progress
    try:
        again = scored(plan, plan.second, considered.cells[top], lambda n, of: base(done + n, done + of))
    except ScoringInterrupted as error:
        raise DesignInterrupted(alone) from error
    _require_scores(plan, again)
    columns = {**{name: column[top] for name, column in values.items()}, **again.columns}
    ranking = Ranking(first, top, again.columns, combined(plan.second, columns, top >= 0), again.reasons)
    return replace(finished(considered, ranking, _provenance(plan, [stage, again]), plan.seed), study=study)


def _require_other_names(plan: Plan) -> None:
    """Raise a ValueError where a cost of the caller's has the name of another column."""
    stages_ = [plan.first] if plan.second is None else [plan.first, plan.second]
    taken = {RANK, "rank", TEXT, BUILT, "index", "hash", *(name for each in stages_ for name in each.names)}
    for cost in plan.costs:
        if cost.source is not None and cost.name in taken:
            raise ValueError(f"limits: expected another name than {cost.name!r}, which is that of another column")


def _require_scores(plan: Plan, stage: Stage) -> None:
    """Raise a ValueError where no architecture has one of the scores, which then would rank nothing."""
    for name, column in stage.columns.items():
        if bool(column.isnan().all()):
            why = next(filter(None, stage.reasons.get(name, [])), "no score is a number")
            raise ValueError(f"by: none of the best {len(column)} of {plan.space.name} has {name}: {why}")


def _provenance(plan: Plan, made: list[Stage]) -> Provenance:
    """What a reader of the design needs to make it again."""
    meanings = {RANK: Meaning(_DEFINITION, "share", "zcfast")}
    for stage in reversed(made):
        meanings |= stage.meanings
    for cost in plan.costs:
        own = Meaning("a cost of the caller's", "", "the caller")
        meanings[cost.name] = Meaning(*_SIZES[cost.name], plan.space.source) if cost.source is None else own
    used = [plan.first] if plan.second is None else [plan.first, plan.second]
    asked = {
        "limits": {cost.name: cost.most for cost in plan.costs if cost.most < math.inf},
        "minimise": list(plan.minimise),
        "stages": [[f"{'-' if name in each.small else ''}{name}" for name in each.names] for each in used],
        "network": plan.network,
        "seed": plan.seed,
    }
    options = {"space": plan.space.title, "network": plan.space.network_options(plan.network), "design": asked}
    return Provenance(__version__, torch.__version__, plan.seed, meanings, options)
