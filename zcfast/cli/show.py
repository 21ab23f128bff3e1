"""`zcfast show`: parsing and printing only."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zcfast.cli import summaries, terminal
from zcfast.cli.arguments import FileSpaceOption, TableOption, TargetOption, TopOption
from zcfast.cli.rows import Wanted

EXAMPLES = """Examples:

    zcfast show scores.parquet --top 3

    zcfast show scores.parquet --table known.npz

    zcfast show trajectories.parquet --target 73.5

    zcfast show own.parquet --space mymodule:space

    zcfast show scores.parquet --where "flops<=1e8" --sort=-synflow --columns architecture,synflow,flops --limit 10

    zcfast show scores.parquet --csv > scores.csv"""

ColumnsOption = Annotated[
    str | None, typer.Option("--columns", metavar="A,B,...", help="Print rows: these columns of the file.")
]
SortOption = Annotated[
    str | None,
    typer.Option("--sort", metavar="NAME", help="Print rows: lowest first; highest by --sort=-NAME."),
]
WhereOption = Annotated[
    list[str] | None,
    typer.Option("--where", metavar="NAME<=X", help="Print rows: those for which this holds; repeatable."),
]
LimitOption = Annotated[
    int | None, typer.Option("--limit", metavar="N", min=0, help="Print rows: so many at most (20 in a table).")
]


def show(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A Parquet file that zcfast score, design, search or import wrote.")
    ],
    table: TableOption = None,
    top: TopOption = None,
    target: TargetOption = None,
    space: FileSpaceOption = None,
    columns: ColumnsOption = None,
    sort: SortOption = None,
    where: WhereOption = None,
    limit: LimitOption = None,
    csv: Annotated[bool, typer.Option("--csv", help="Print rows as CSV.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print rows as JSON.")] = False,
) -> None:
    """Print the summary of a file that zcfast wrote, or rows of it."""
    from zcfast.search.trajectory import is_trajectory

    if csv and as_json:
        raise ValueError("--json: expected it or --csv, got both")
    wanted = Wanted(columns, sort, where or [], limit, "csv" if csv else "json" if as_json else "")
    if wanted:
        others: dict[str, object] = {"--table": table, "--top": top, "--target": target, "--space": space}
        for flag, value in others.items():
            if value is not None:
                raise ValueError(f"{flag}: no effect where rows are printed")
        wanted.show(file)
        return
    trajectories = is_trajectory(file)
    without_effect: dict[str, object] = (
        {"--table": table, "--top": top, "--space": space} if trajectories else {"--target": target}
    )
    for flag, value in without_effect.items():
        if value is not None and file.is_file():  # where there is none, its reader says so
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
