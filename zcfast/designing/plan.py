"""What a design is asked for, with every argument checked, and how its scores are made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from zcfast.data.provenance import Meaning
from zcfast.designing.limits import Cost
from zcfast.designing.stages import Terms, ranked
from zcfast.errors import Portable
from zcfast.order import spread
from zcfast.scores import Scores
from zcfast.scoring.architectures import ScoringInterrupted, score_architectures
from zcfast.scoring.execution import Executor
from zcfast.scoring.populations import set_meaning
from zcfast.scoring.space import in_closed_form
from zcfast.scoring.store import Store
from zcfast.spaces import Cells, SearchSpace
from zcfast.spaces.forms import closed_forms

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Plan:
    """The arguments of ``design``.

    Attributes:
        costs: what is limited, traded off or shown.
        first, second: the scores of the two stages; None for no second one.
        keep: how many of so many architectures the second stage ranks.
        minimise: names of costs that are traded off.
        evaluations: how many architectures are considered; None for the default.
        network: options of the network.
        own: options of closed forms.
        scoring: what ``score_architectures`` takes beside.
        executor: what scores, on one thread wherever it runs; None for this process.
        parts: where finished scores are kept.
        trained: what the caller's accuracies made that ranks; None where there are none.
    """

    space: SearchSpace[Any]
    costs: Sequence[Cost]
    first: Terms
    second: Terms | None
    keep: Callable[[int], int]
    minimise: tuple[str, ...]
    evaluations: int | None
    seed: int
    network: dict[str, Any]
    own: dict[str, Any]
    scoring: dict[str, Any]
    executor: Executor | None
    parts: Store | None
    progress: Progress
    trained: str | None = None


@dataclass(frozen=True, eq=False)
class Stage:
    """Scores of one stage: columns [N], what they mean, and why some are missing."""

    columns: dict[str, Tensor]
    meanings: dict[str, Meaning]
    reasons: dict[str, list[str]]


class StageInterrupted(Portable, KeyboardInterrupt):
    """Ctrl-C within a stage, with what was scored: rows of its cells, and their scores."""

    def __init__(self, rows: Tensor, stage: Stage) -> None:
        """Take both."""
        super().__init__()
        self.rows, self.stage = rows, stage


def scored(plan: Plan, terms: Terms, cells: Cells, progress: Progress | None = None) -> Stage:
    """The scores that a stage names, but for sizes, which are among the costs, and for scores of sets.

    Raises:
        StageInterrupted: Ctrl-C, with the scores so far.
    """
    if terms.ranker is not None:
        meaning = Meaning(f"what {plan.trained or type(terms.ranker).__name__} gives", "rank", "the caller")
        return Stage({"rank": ranked(plan.space, terms.ranker, cells)}, {"rank": meaning}, {})
    if not terms.sampled:
        return _in_closed_form(plan, terms.closed, cells, progress)
    try:
        made = score_architectures(
            plan.space,
            [*terms.closed, *terms.sampled.values()],
            cells,
            seed=plan.seed,
            executor=plan.executor,
            parts=plan.parts,
            progress=progress,
            **_own(plan, terms.closed, {"initialisation"}),
            **plan.scoring,
        )
    except ScoringInterrupted as error:
        done = set(plan.space.format(error.scores.cells))
        rows = [row for row, text in enumerate(plan.space.format(cells)) if text in done]
        raise StageInterrupted(torch.tensor(rows), _stage(error.scores)) from error
    return _stage(made)


def _in_closed_form(plan: Plan, names: Sequence[str], cells: Cells, progress: Progress | None) -> Stage:
    if not names:
        return Stage({}, {}, {})
    own = _own(plan, names, set())
    columns, described = in_closed_form(plan.space, names, cells, progress, **plan.network, **own)
    return Stage({name: column.cpu() for name, column in columns.items()}, dict(described.columns), {})


def _own(plan: Plan, closed: Sequence[str], beside: set[str]) -> dict[str, Any]:
    """Those options that some of the closed forms take, and those beside."""
    forms = closed_forms(plan.space)
    taken = beside.union(*(forms[name].options for name in closed))
    return {name: value for name, value in plan.own.items() if name in taken}


def _stage(scores: Scores) -> Stage:
    columns = {name: column.cpu() for name, column in scores.columns.items()}
    return Stage(columns, dict(scores.provenance.columns), scores.reasons)


def with_sets(terms: Terms, stage: Stage, columns: Mapping[str, Tensor], kept: Tensor) -> Stage:
    """A stage with its scores of sets, among the rows that are kept.

    Args:
        columns: of all their parts, [N] by name.
        kept: bool [N].
    """
    found = {}
    if terms.sets and bool(kept.any()):
        for name, values in terms.of_sets({name: column[kept] for name, column in columns.items()}).items():
            found[name] = spread(values, kept, len(kept))
    meanings = {each.name: set_meaning(each) for each in terms.sets}
    return Stage({**found, **stage.columns}, {**meanings, **stage.meanings}, stage.reasons)


def combined(terms: Terms, columns: Mapping[str, Tensor], kept: Tensor) -> Tensor:
    """What a stage gives those rows that are kept, [N] float64, NaN for the others."""
    if not bool(kept.any()):
        return torch.full((len(kept),), torch.nan, dtype=torch.float64)
    return spread(terms.combined({name: columns[name][kept] for name in terms.names}), kept, len(kept))
