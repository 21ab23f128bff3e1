"""`zcfast report`: parsing and printing only."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zcfast.cli import terminal
from zcfast.cli.arguments import FileSpaceOption

EXAMPLES = """Examples:

    zcfast report scores.parquet --table accuracies.npz --out report.html

    zcfast report scores.parquet --table 201.parquet --metrics test_cifar10,valid_cifar10 --out report.html"""


def report(
    scores: Annotated[Path, typer.Argument(metavar="SCORES", help="A Parquet file that zcfast score wrote.")],
    table: Annotated[
        Path, typer.Option("--table", metavar="ACCURACIES", help="Any file that zcfast import reads or wrote.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The HTML file to write; replaced in one step.")],
    metrics: Annotated[
        str | None, typer.Option("--metrics", metavar="A,B,...", help="Of the table; by default its headline.")
    ] = None,
    top: Annotated[int, typer.Option("--top", metavar="K", min=0, help="How many of the best cells to draw.")] = 10,
    space: FileSpaceOption = None,
) -> None:
    """Write a page for a browser: how well scores rank accuracies, with plots."""
    from zcfast import tables
    from zcfast.files import check_writable, replace_file
    from zcfast.report import html
    from zcfast.scores import Scores

    check_writable(out, scores, table)
    loaded = Scores.load(scores, space)
    chosen = None if metrics is None else [name.strip() for name in metrics.split(",") if name.strip()]
    page = html(loaded, tables.load(loaded.space, table), metrics=chosen, top=top)
    with replace_file(out) as temporary:
        temporary.write_text(page, encoding="utf-8")
    terminal.say(f"{len(loaded):,} cells of {loaded.space.name}: {', '.join(loaded.columns)}")
    terminal.say(f"written to {out}: {len(page.encode()) / 1e6:.1f} MB")
