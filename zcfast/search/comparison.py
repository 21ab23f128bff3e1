"""Algorithms side by side under one protocol, with and without zero-cost warm-up and move proposal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from zcfast.search.ageing_evolution import AgeingEvolution
from zcfast.search.algorithm import Algorithm
from zcfast.search.binary_predictor import BinaryPredictor
from zcfast.search.loop import run
from zcfast.search.random_search import RandomSearch
from zcfast.search.reinforce import Reinforce
from zcfast.search.trajectory import Trajectory, order_statistic
from zcfast.search.wrappers import move_proposal, warmup
from zcfast.spaces import SearchSpace
from zcfast.tables import Table

if TYPE_CHECKING:
    import pyarrow

LEVELS = {"worst": 0.0, "lower_quartile": 0.25, "median": 0.5, "upper_quartile": 0.75, "best": 1.0}


def paper_algorithms(scores: Tensor, warm: int = 3000) -> dict[str, Algorithm[Any]]:
    """The paper's four algorithms by name, each plain, with warm-up and, where it has moves, with move proposal.

    Args:
        scores: [N] for the whole space, higher is better.
        warm: how many architectures the warm-up scores.

    Source: Abdelfattah et al. 2021, section 5.
    """
    plain = (RandomSearch(), AgeingEvolution(), Reinforce(), BinaryPredictor())
    algorithms: dict[str, Algorithm[Any]] = {}
    for each in plain:
        algorithms[each.name] = each
        algorithms[f"{each.name} + warm-up"] = warmup(each, scores, warm)
        if each.proposes_moves:
            algorithms[f"{each.name} + move"] = move_proposal(each, scores)
    return algorithms


def compare(
    algorithms: Mapping[str, Algorithm[Any]],
    space: str | SearchSpace[Any],
    table: Table,
    *,
    progress: Callable[[str], None] | None = None,
    **options: Any,
) -> dict[str, Trajectory]:
    """The trajectories of each algorithm, all with the same options of `run`.

    `progress` is called with the name of each algorithm before it runs. Errors: as `run`.
    """
    trajectories = {}
    for name, algorithm in algorithms.items():
        if progress:
            progress(name)
        trajectories[name] = run(algorithm, space, table, **options)
    return trajectories


def quartiles_by_trainings(trajectories: Mapping[str, Trajectory], trainings: Sequence[int]) -> pyarrow.Table:
    """Quartiles and extremes over the runs of the best so far, one row an algorithm and number of trainings.

    Columns: algorithm, trainings, worst, lower_quartile, median, upper_quartile, best (of the reported metric).

    Errors: ValueError for a number of trainings beyond the budget.
    """
    import pyarrow

    rows = []
    for name, trajectory in trajectories.items():
        budget = trajectory.rows.shape[1]
        values = trajectory.quantiles(*LEVELS.values())
        for count in trainings:
            if not 1 <= count <= budget:
                raise ValueError(f"trainings: expected 1 to {budget}, the budget, got {count}")
            at = dict(zip(LEVELS, values[:, count - 1].tolist(), strict=True))
            rows.append({"algorithm": name, "trainings": count, **at})
    return pyarrow.Table.from_pylist(rows)


def trainings_to_target(trajectories: Mapping[str, Trajectory], target: float) -> pyarrow.Table:
    """How many trainings each algorithm takes to a target, one row an algorithm.

    Columns: algorithm, runs, reached (how many runs do), lower_quartile, median, upper_quartile: of the trainings of
    all runs, one that never reaches the target being last; null where that is the value.
    """
    import pyarrow

    levels = {name: LEVELS[name] for name in ("lower_quartile", "median", "upper_quartile")}
    rows = []
    for name, trajectory in trajectories.items():
        counts = trajectory.trainings_to(target)
        values = {label: order_statistic(counts, level) for label, level in levels.items()}
        rows.append({"algorithm": name, "runs": len(counts), "reached": int((~counts.isnan()).sum()), **values})
    return pyarrow.Table.from_pylist(
        rows,
        schema=pyarrow.schema(
            [("algorithm", "string"), ("runs", "int64"), ("reached", "int64"), *((label, "int64") for label in levels)]
        ),
    )
