"""The best networks of a search space under limits, without training."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

from zcfast.designing.building import by_building, considers_all, proposals
from zcfast.designing.formulas import by_formulas, has_formulas
from zcfast.designing.found import RANK, Design
from zcfast.designing.held import Held
from zcfast.designing.limits import costs
from zcfast.designing.look import BUILT, TEXT
from zcfast.designing.plan import Plan, Progress
from zcfast.designing.proposals import check_sampler
from zcfast.designing.stages import RECOMMENDED, By, Stages, stages, terms
from zcfast.errors import Notice, integer
from zcfast.scoring.architectures import minibatch
from zcfast.scoring.execution import Executor, InProcess, Processes, require_one
from zcfast.scoring.space import own_options
from zcfast.scoring.store import Store
from zcfast.spaces import Decisions, Enumerated, SearchSpace, as_space
from zcfast.spaces.base import WEIGHTS

_OF_SCORES = ("loss_fn", "logits", "layers")  # options of zcfast.score


class DesignInterrupted(KeyboardInterrupt):
    """Ctrl-C; ``found`` is the design of what was considered so far, which may be nothing."""

    def __init__(self, found: Design) -> None:
        """Take the design."""
        super().__init__(found)
        self.found = found

    def __str__(self) -> str:
        """How much there is."""
        return f"{self.found.protocol['considered']} architectures were considered"


def design(
    space: str | SearchSpace[Any],
    *,
    by: By | Stages = RECOMMENDED,
    trained: Any = None,
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
        by: what ranks: "recommended"; a name or a proxy, where "-snip" ranks a small snip first; several of these, or a
            set such as "paper", by the sum of the logarithms of their ranks; an object with ``rank(space, cells)``,
            numbers [N] of which higher ones are better; or ``zcfast.designing.Stages`` of two of these.
        trained: accuracies that you have, of 10 to 200 architectures: a ``zcfast.tables.Table``, or (table, metric); a
            mapping from text to accuracy; or an Optuna study of your own. A predictor of these ranks, in place of
            ``by``.
        limits: the most that an architecture may have, by name: "flops" or "multiply_adds" (of one sample, all that
            runs: half of what torch's FlopCounterMode counts) and "params" of any space that counts them, and under
            any name of the user's own a pair (column, number), the column being numbers of all rows of an enumerated
            space or a function of space and cells.
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
            "qmc", "random", "brute_force" or one of its samplers, with a seed of its own. Where all architectures of a
            listed space are considered it has no effect.
        storage: of Optuna, which gets every trial: a URL, or a storage such as one of a journal file. The same call
            goes on where an interrupted one ended, but for scores of a second stage, which need ``parts``.
        study_name: of the study there; the name of the space by default.
        options: of the network; ``loss_fn``, ``logits`` and ``layers`` of ``zcfast.score``.

    Raises:
        ValueError, TypeError: a wrong argument; limits that no architecture keeps to, with how near they come; no
            architecture with a score, with a reason.
        DesignInterrupted: Ctrl-C at any moment, with what was found so far; where ``parts`` or ``storage`` is given the
            same call goes on from there, with scores of a second stage in ``parts`` alone.
    """
    searched: SearchSpace[Any] = as_space(space)
    for name, value, least in (("seed", seed, 0), ("evaluations", evaluations, 1), ("workers", workers, 1)):
        if value is not None and integer(name, value) < least:
            raise ValueError(f"{name}: expected a number >= {least}, got {value}")
    require_one(workers, executor)
    check_sampler(sampler)
    by = by if trained is None else _predictor(searched, trained, by)
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
            None if trained is None else repr(by),
        )
        _require_other_names(plan)
        held = Held(plan)
        try:
            return _designed(plan, held, sampler, storage, study_name)
        except KeyboardInterrupt as error:
            raise DesignInterrupted(held.design(interrupted=True)) from error


def _predictor(space: SearchSpace[Any], trained: Any, by: Any) -> By:
    """What the caller's accuracies make that ranks, in place of what it does by default."""
    if by != RECOMMENDED:
        raise ValueError("trained: expected it or by, got both")
    from zcfast.designing.trained import predictor_of  # pyarrow and the searches take a while to import

    return predictor_of(space, trained)


def _processes(workers: int) -> Executor:
    return Processes(workers) if workers > 1 else InProcess()


def _with_effect(plan: Plan, sampler: Any) -> Any:
    """The sampler; None, with a notice, where it has nothing to choose."""
    if sampler is None or not considers_all(plan) or plan.space.offers(Decisions) is None:
        return sampler
    listed = len(plan.space.capability(Enumerated))
    said = f"no effect, as all {listed:,} architectures of {plan.space.name} are considered"
    warnings.warn(Notice(f"sampler: {said}"), stacklevel=4)
    return None


def _designed(plan: Plan, held: Held, sampler: Any, storage: Any, study_name: str | None) -> Design:
    """Consider architectures, order them, and score the best of them again where there is a second stage."""
    sampler = _with_effect(plan, sampler)
    if has_formulas(plan) and sampler is None and storage is None:
        held.hold(*by_formulas(plan, held.hold))
    else:
        made, look, most = proposals(plan, sampler, storage, study_name)
        held.study = getattr(made, "study", None)
        held.hold(*by_building(plan, made, look, most, held.hold))
    assert held.considered is not None
    assert held.first is not None
    if bool(held.first.isnan().all()):
        why = next(filter(None, held.considered.reasons), "no score is a number")
        raise ValueError(f"{plan.space.name}: none of {len(held.first):,} architectures has a score: {why}")
    if plan.second is not None:
        held.rank_again()
    return held.design()


def _require_other_names(plan: Plan) -> None:
    """Raise a ValueError where a cost of the caller's has the name of another column."""
    stages_ = [plan.first] if plan.second is None else [plan.first, plan.second]
    taken = {RANK, "rank", TEXT, BUILT, "index", "hash", *(name for each in stages_ for name in each.columns)}
    for cost in plan.costs:
        if cost.source is not None and cost.name in taken:
            raise ValueError(f"limits: expected another name than {cost.name!r}, which is that of another column")
