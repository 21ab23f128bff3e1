"""`python -m reproduction`: parsing and printing only."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from reproduction import TARGETS, Context, Result, SearchResult, chosen
from reproduction.output import cells, check_matplotlib, heading, write
from reproduction.search_output import blocks, notes

EXAMPLES = """Examples:

    python -m reproduction table1 --data data --out tables --scores scores

    python -m reproduction all --data data --out tables --sample 1500 --workers 4"""

NUMBERS = ("rows", "paper", "authors", "ours", "95 % interval", "difference")

TargetsArgument = Annotated[
    list[str], typer.Argument(metavar="TABLE...", help="table1, figure2, ... or all; an unknown name lists them.")
]
DataOption = Annotated[Path, typer.Option("--data", metavar="DIR", help="Accuracies and pictures.")]
OutOption = Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the tables and figures go.")]
ScoresOption = Annotated[
    Path | None,
    typer.Option(
        "--scores", metavar="PATH", help="Scores made before: a Parquet file or a directory of them, and of searches."
    ),
]
SampleOption = Annotated[
    int, typer.Option("--sample", metavar="N", min=1, help="Architectures on which sampled proxies are scored.")
]
SeedOption = Annotated[
    int, typer.Option("--seed", metavar="S", min=0, help="Of the sample, the weights, the minibatch and searches.")
]
WorkersOption = Annotated[
    int,
    typer.Option(
        "--workers",
        metavar="K",
        min=0,
        help="Processes that score what is missing; 0 scores nothing. Searches use none of them.",
    ),
]


def reproduce(
    targets: TargetsArgument,
    data: DataOption,
    out: OutOption,
    scores: ScoresOption = None,
    sample: SampleOption = 1500,
    seed: SeedOption = 0,
    workers: WorkersOption = 0,
) -> None:
    """Make tables and figures of the zero-cost proxies' paper again, beside its numbers."""
    names = chosen(targets)
    check_matplotlib()
    into = scores if scores is not None and scores.is_dir() else out
    console = Console(stderr=True)
    # A row may take minutes: of the last half minute alone there would be no time to go.
    with Progress(console=console, disable=not console.is_terminal, speed_estimate_period=3600) as bar:
        task = bar.add_task("Scores and searches", total=None)
        context = Context(
            data,
            scores=scores,
            new_scores=into / "new_scores",
            sample=sample,
            seed=seed,
            workers=workers,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
        _make_directory(out)
        for name in names:
            result = TARGETS[name](context)
            paths = write(result, out)
            _print_searches(result) if isinstance(result, SearchResult) else _print(result)
            print("written to " + ", ".join(map(str, paths)) + "\n")


def _make_directory(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise ValueError(f"--out: expected a directory, got a file: {out}")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"--out: expected a directory that can be made, got {out}: {error.strerror}") from error


def _print(result: Result) -> None:
    """A block for each benchmark and measure, then what there is to know."""
    print(heading(result))
    blocks = dict.fromkeys((row.benchmark, row.accuracy, row.measure) for row in result.rows)
    for block in blocks:
        text = Table(title=", ".join(filter(None, block)), title_justify="left", box=None, pad_edge=False)
        for name in ("proxy", *NUMBERS):
            text.add_column(name, justify="left" if name == "proxy" else "right")
        for row in result.rows:
            if (row.benchmark, row.accuracy, row.measure) == block:
                values = cells(row)
                text.add_row(values["proxy"], *(values[name] for name in NUMBERS))
        Console(highlight=False, markup=False, emoji=False).print(text)
    notes = dict.fromkeys(f"{row.benchmark}: {row.note}" for row in result.rows if row.note)
    for note in (*notes, *result.notes):
        print(f"- {note}")


def _print_searches(result: SearchResult) -> None:
    """A block for each benchmark and target, then what there is to know."""
    print(heading(result))
    for block in blocks(result, brief=True):
        text = Table(title=block.title, title_justify="left", box=None, pad_edge=False)
        for place, name in enumerate(block.headings):
            text.add_column(name, justify="right" if place else "left", overflow="fold")
        for line in block.lines:
            text.add_row(*line)
        Console(highlight=False, markup=False, emoji=False).print(text)
    for note in notes(result):
        print(f"- {note}")


def main() -> None:
    """Run the command line; every error is one line on stderr and an exit status other than zero."""
    app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)
    app.command(epilog=EXAMPLES)(reproduce)
    try:
        app()
    except (ValueError, OSError, ImportError) as error:
        sys.exit(f"reproduction: {error}")


if __name__ == "__main__":
    main()
