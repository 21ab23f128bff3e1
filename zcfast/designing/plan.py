"""What a design is asked for, with every argument checked, and how its scores are made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from zcfast.data.provenance import Meaning
from zcfast.designing.limits import Cost
from zcfast.designing.stages import Terms, ranked
from zcfast.scoring.architectures import score_architectures
from zcfast.scoring.execution import Executor
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


@dataclass(frozen=True, eq=False)
class Stage:
    """Scores of one stage: columns [N], what they mean, and why some are missing."""

    columns: dict[str, Tensor]
    meanings: dict[str, Meaning]
    reasons: dict[str, list[str]]


def scored(plan: Plan, terms: Terms, cells: Cells, progress: Progress | None = None) -> Stage:
    """The scores that a stage names, but for sizes, which are among the costs.

    Raises:
        ScoringInterrupted: Ctrl-C, with the scores so far.
    """
    if terms.ranker is not None:
        meaning = Meaning(f"what {type(terms.ranker).__name__} gives", "rank", "the caller")
        return Stage({"rank": ranked(plan.space, terms.ranker, cells)}, {"rank": meaning}, {})
    forms = closed_forms(plan.space)
    taken = {option for name in terms.closed for option in forms[name].options}
    own = {
        name: value for name, value in plan.own.items() if name in taken or (name == "initialisation" and terms.sampled)
    }
    if terms.sampled:
        made = score_architectures(
            plan.space,
            [*terms.closed, *terms.sampled.values()],
            cells,
            seed=plan.seed,
            executor=plan.executor,
            parts=plan.parts,
            progress=progress,
            **own,
            **plan.scoring,
        )
        return Stage(made.columns, dict(made.provenance.columns), made.reasons)
    if not terms.closed:
        return Stage({}, {}, {})
    columns, described = in_closed_form(plan.space, terms.closed, cells, progress, **plan.network, **own)
    return Stage({name: column.cpu() for name, column in columns.items()}, dict(described.columns), {})


def combined(terms: Terms, columns: dict[str, Tensor], kept: Tensor) -> Tensor:
    """What a stage gives those rows that are kept, [N] float64, NaN for the others."""
    values = torch.full((len(kept),), torch.nan, dtype=torch.float64)
    if bool(kept.any()):
        values[kept] = terms.combined({name: columns[name][kept] for name in terms.names})
    return values
