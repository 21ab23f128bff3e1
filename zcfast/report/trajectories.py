"""Trajectories of searches as tables for a terminal."""

from __future__ import annotations

from rich.table import Table as TextTable

from zcfast.search import Trajectory
from zcfast.search.trajectory import order_statistic

QUARTILES = (0.25, 0.5, 0.75)


def quartiles(trajectory: Trajectory) -> TextTable:
    """Quartiles, lowest and highest of the runs' best so far after 1, 2, 5, 10, ... trainings.

    Of an interrupted search up to the trainings of the run that had most.
    """
    runs = len(trajectory.rows)
    chosen_by, shown = (trajectory.provenance.options.get(name, "evaluate") for name in ("objective", "report"))
    best = "best" if chosen_by == shown else f"best by {chosen_by}"
    text = TextTable(title=f"{shown} of the {best} so far, {runs} runs", title_justify="left", title_style="")
    text.add_column("trainings", justify="right")
    for heading in ("worst run", "lower quartile", "median", "upper quartile", "best run"):
        text.add_column(heading, justify="right")
    values = trajectory.quantiles(0, *QUARTILES, 1)
    for count in marks(_most_trainings(trajectory)):
        text.add_row(f"{count:,}", *(f"{value:.5g}" for value in values[:, count - 1].tolist()))
    return text


def marks(budget: int) -> list[int]:
    """1, 2, 5, 10, 20, 50, ... below a budget, and the budget; none for a budget of 0."""
    if not budget:
        return []
    steps = (digit * 10**power for power in range(len(str(budget))) for digit in (1, 2, 5))
    return [*(step for step in steps if step < budget), budget]


def trainings_to(trajectory: Trajectory, target: float) -> str:
    """A line: how many runs reach a target, and the quartiles of their trainings, a run that does not being last."""
    counts = trajectory.trainings_to(target)
    reached = int((~counts.isnan()).sum())
    line = f"{target:g} reached by {reached} of {len(counts)} runs within {_most_trainings(trajectory)} trainings"
    if not reached:
        return line
    values = [order_statistic(counts, level) for level in QUARTILES]
    numbers = ["never" if value is None else f"{value}" for value in values]
    return f"{line}; quartiles after {numbers[0]}, {numbers[1]} and {numbers[2]}"


def _most_trainings(trajectory: Trajectory) -> int:
    """Of any run: the budget, unless the search was interrupted."""
    return int((trajectory.rows >= 0).sum(1).max())
