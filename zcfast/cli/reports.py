"""`zcfast report`: parsing and printing only."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zcfast.cli import summaries, terminal
from zcfast.cli.arguments import FileSpaceOption

if TYPE_CHECKING:
    from zcfast.scores import Scores

EXAMPLES = """Examples:

    zcfast report scores.parquet --table accuracies.npz --out report.html

    zcfast report scores.parquet --table 201.parquet --metrics test_cifar10,valid_cifar10 --out report.html

    zcfast report found.parquet --out report.html"""


def report(
    scores: Annotated[
        Path, typer.Argument(metavar="SCORES", help="A Parquet file that zcfast score or zcfast design wrote.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The HTML file to write; replaced in one step.")],
    table: Annotated[
        Path | None,
        typer.Option(
            "--table", metavar="ACCURACIES", help="Any file that zcfast import reads or wrote; a design needs none."
        ),
    ] = None,
    metrics: Annotated[
        str | None, typer.Option("--metrics", metavar="A,B,...", help="Of the table; by default its headline.")
    ] = None,
    top: Annotated[
        int, typer.Option("--top", metavar="K", min=0, help="How many of the best architectures to show.")
    ] = 10,
    space: FileSpaceOption = None,
) -> None:
    """Write a page for a browser: what a design found, or with --table how well scores rank accuracies."""
    from zcfast.files import check_writable, replace_file

    if table is None and metrics is not None:
        raise ValueError("--metrics: no effect without --table")
    check_writable(out, scores, table)
    loaded, page = _of_design(scores, top, space) if table is None else _of_ranking(scores, table, metrics, top, space)
    with replace_file(out) as temporary:
        temporary.write_text(page, encoding="utf-8")
    terminal.say(f"{len(loaded):,} architectures of {loaded.space.name}: {', '.join(loaded.columns)}")
    summaries.absence(loaded)
    terminal.say(f"written to {out}: {len(page.encode()) / 1e6:.1f} MB")


def _of_design(file: Path, top: int, space: str | None) -> tuple[Scores, str]:
    from zcfast.designing import Design
    from zcfast.designing.found import is_design
    from zcfast.report import design
    from zcfast.scores import readable

    loaded = readable(file, space)
    if not is_design(loaded):
        raise ValueError(f"--table: expected accuracies to compare the scores of {file} with, got none")
    return loaded, design(Design(loaded), top=top)


def _of_ranking(file: Path, table: Path, metrics: str | None, top: int, space: str | None) -> tuple[Scores, str]:
    from zcfast import tables
    from zcfast.report import html
    from zcfast.scores import Scores

    loaded = Scores.load(file, space)
    chosen = None if metrics is None else [name.strip() for name in metrics.split(",") if name.strip()]
    return loaded, html(loaded, tables.load(loaded.space, table), metrics=chosen, top=top)
