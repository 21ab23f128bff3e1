"""`zcfast show`: parsing and printing only."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zcfast.cli import summaries, terminal
from zcfast.cli.arguments import FileSpaceOption, TableOption, TargetOption, TopOption

EXAMPLES = """Examples:

    zcfast show scores.parquet --top 3

    zcfast show scores.parquet --table known.npz

    zcfast show trajectories.parquet --target 73.5

    zcfast show own.parquet --space mymodule:space"""


def show(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A Parquet file that zcfast score, design or search wrote.")
    ],
    table: TableOption = None,
    top: TopOption = None,
    target: TargetOption = None,
    space: FileSpaceOption = None,
) -> None:
    """Print the summary of a file of scores or trajectories."""
    from zcfast.search.trajectory import is_trajectory

    trajectories = is_trajectory(file)
    without_effect: dict[str, object] = (
        {"--table": table, "--top": top, "--space": space} if trajectories else {"--target": target}
    )
    for flag, value in without_effect.items():
        if value is not None and file.is_file():  # of what is none its reader tells
            raise ValueError(f"{flag}: no effect on {'trajectories' if trajectories else 'scores'}")
    if trajectories:
        _show_trajectory(file, target)
    else:
        _show_scores(file, table, top, space)


def _show_scores(file: Path, table: Path | None, top: int | None, space: str | None) -> None:
    from zcfast import tables
    from zcfast.designing import Design, summary
    from zcfast.designing.found import is_design
    from zcfast.scores import Scores, readable

    loaded = readable(file, space) if table is None else Scores.load(file, space)
    accuracies = None if table is None else tables.load(loaded.space, table)
    terminal.say(f"{len(loaded):,} architectures of {loaded.space.name}: {', '.join(loaded.columns)}")
    summaries.absence(loaded)
    if is_design(loaded):
        terminal.say(summary(Design(loaded)))
    summaries.scores(loaded, accuracies, top)


def _show_trajectory(file: Path, target: float | None) -> None:
    from zcfast.search import Trajectory

    loaded = Trajectory.load(file)
    trained, algorithm = int((loaded.rows >= 0).sum()), loaded.provenance.options["algorithm"]["name"]
    terminal.say(f"{trained:,} trainings of {loaded.space}: {algorithm}, {len(loaded.rows)} runs")
    summaries.trajectory(loaded, target)
