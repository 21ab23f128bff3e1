"""What commands print of scores and of trajectories once they are written or read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zcfast.cli import terminal

if TYPE_CHECKING:
    from zcfast.scores import Scores
    from zcfast.search import Trajectory
    from zcfast.tables import Table

TOP = 5  # architectures that are drawn where --top does not say how many


def absence(scores: Scores) -> None:
    """A line where the space of a file is not here: what there is, and how to have more."""
    from zcfast.spaces.absent import AbsentSpace

    if isinstance(scores.space, AbsentSpace):
        path = scores.space.name if ":" in scores.space.name else "mymodule:space"
        terminal.say(
            f"the space {scores.space.name} is not here, so architectures are shown as the file has them; "
            f"--space {path} checks them, and takes a --table"
        )


def scores(scores: Scores, table: Table | None, top: int | None) -> None:
    """What is missing, the best architectures, and how well each column ranks the accuracies of a table."""
    from zcfast.report import text

    by, top = next(iter(scores.columns)), TOP if top is None else top
    for line in text.missing(scores):
        terminal.say(line)
    if top:
        scored = int((~scores[by].isnan()).sum())
        terminal.say(f"\nThe best {min(top, scored)} by {by}:\n\n{text.best(scores, by, top)}")
    if table is not None:
        terminal.say()
        terminal.show(text.ranking(scores, table))


def trajectory(trajectory: Trajectory, target: float | None) -> None:
    """Quartiles of the best so far, and the trainings to a target."""
    from zcfast.report import trajectories

    terminal.show(trajectories.quartiles(trajectory))
    if target is not None:
        terminal.say(trajectories.trainings_to(trajectory, target))
