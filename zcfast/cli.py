"""The command line: parsing and printing only."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zcfast import cli_tables

if TYPE_CHECKING:
    from zcfast.scores import Scores
    from zcfast.tables import Table

# torch, pyarrow and scipy are imported inside the commands: --help answers at once.

INTERRUPTED = 130  # what a shell reports for a process that Ctrl-C ended
UsageError: Any = typer.BadParameter.__mro__[1]  # of click, or of the click that newer releases of typer bundle

app = typer.Typer(
    help="Score neural networks and whole search spaces without training.",
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("import", epilog=cli_tables.EXAMPLES)(cli_tables.import_table)

TableOption = Annotated[
    Path | None,
    typer.Option(
        "--table", metavar="ACCURACIES", help="Accuracies to compare with: any file that zcfast import reads or wrote."
    ),
]
TopOption = Annotated[
    int, typer.Option("--top", metavar="K", min=0, help="How many of the best architectures to draw.")
]


@app.command(
    epilog="""Examples:

    zcfast score nasbench101 --proxies expected_synflow,params --out s.parquet

    zcfast score nasbench201 --proxies flops --out s.parquet --table known.npz

    zcfast score nasbench101 --proxies params --out s.parquet --option modules=1"""
)
def score(
    space: Annotated[str, typer.Argument(metavar="SPACE", help="The search space; zcfast spaces lists them.")],
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="The Parquet file to write; replaced in one step.")
    ],
    proxies: Annotated[
        str, typer.Option("--proxies", metavar="A,B,...", help="Names with commas between; the first one ranks.")
    ],
    table: TableOption = None,
    option: Annotated[
        list[str] | None, typer.Option("--option", metavar="KEY=VALUE", help="An option of the network; repeatable.")
    ] = None,
    top: TopOption = 5,
) -> None:
    """Score every architecture of a search space and write a Parquet file."""
    names, options = _names(proxies), _options(option or [])

    import zcfast
    from zcfast import tables
    from zcfast.files import check_writable

    check_writable(out)
    search_space, score_space = zcfast.space(space), zcfast.score_space
    accuracies = None if table is None else tables.load(search_space, table)
    started = time.perf_counter()
    with _progress(f"Scoring {search_space.title}") as progress:
        scores = score_space(search_space, names, progress=progress, **options)
    seconds = time.perf_counter() - started
    scores.save(out)
    typer.echo(f"{len(scores):,} cells in {seconds:.2f} s: {len(scores) / seconds:,.0f} cells/s")
    typer.echo(f"written to {out}")
    _summary(scores, accuracies, top)


@app.command(
    epilog="""Examples:

    zcfast show scores.parquet --top 3

    zcfast show scores.parquet --table known.npz"""
)
def show(
    scores: Annotated[Path, typer.Argument(metavar="SCORES", help="A Parquet file that zcfast score wrote.")],
    table: TableOption = None,
    top: TopOption = 5,
) -> None:
    """Print the summary of a file of scores."""
    from zcfast import tables
    from zcfast.scores import Scores

    loaded = Scores.load(scores)
    accuracies = None if table is None else tables.load(loaded.space, table)
    typer.echo(f"{len(loaded):,} cells of {loaded.space}: {', '.join(loaded.columns)}")
    _summary(loaded, accuracies, top)


@app.command("spaces")
def list_spaces() -> None:
    """List the search spaces and their sizes."""
    from zcfast.spaces import names, space

    for each in map(space, names()):
        typer.echo(f"{each.name}   {each.title}: {len(each):,} architectures, {each.classes:,} up to isomorphism")
        typer.echo(f"              {each.source}")


@app.command("info")
def print_info() -> None:
    """Print versions, SIMD level, threads and CUDA."""
    from zcfast.info import info

    for name, value in info().items():
        typer.echo(f"{name + ':':13}{value}")


def main() -> None:
    """Run the command line; every error is one line on stderr and an exit status other than zero."""
    # A terminal that cannot show a character gets a question mark, not an exception.
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        status = app(sys.argv[1:] or ["--help"], standalone_mode=False) or 0
        if status == INTERRUPTED:  # newer releases of typer turn Ctrl-C into this status, older ones into Abort
            raise KeyboardInterrupt
        sys.exit(status)
    except UsageError as error:
        _fail(error.format_message(), 2)
    except (KeyboardInterrupt, typer.Abort):
        _fail("interrupted", INTERRUPTED)
    except BrokenPipeError:  # the reader of our output, such as head, has seen enough
        sys.stderr.close()
        sys.exit(1)
    except (ValueError, OSError, ImportError) as error:
        _fail(str(error), 1)


def _fail(message: str, status: int) -> None:
    print("zcfast:", " ".join(message.split()), file=sys.stderr)
    sys.exit(status)


def _names(proxies: str) -> list[str]:
    """The names of a list with commas."""
    names = [name.strip() for name in proxies.split(",") if name.strip()]
    if not names or len(set(names)) != len(names):
        raise ValueError(f"--proxies: expected different names with commas between, got {proxies!r}")
    return names


def _options(pairs: list[str]) -> dict[str, Any]:
    """Options from KEY=VALUE; a value that is JSON (a number, true, null) is read as that, any other is text."""
    options: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.isidentifier() or key in options:
            raise ValueError(f"--option: expected KEY=VALUE, each key once, got {pair!r}")
        try:
            options[key] = json.loads(value)
        except ValueError:
            options[key] = value
    return options


@contextmanager
def _progress(title: str) -> Iterator[Callable[[int, int], None]]:
    """Give a function of rows done and rows in all that draws a bar on stderr, if that is a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _summary(scores: Scores, table: Table | None, top: int) -> None:
    from zcfast.report import text

    by = next(iter(scores.columns))
    if top:
        typer.echo(f"\nThe best {min(top, len(scores))} by {by}:\n\n{text.best(scores, by, top)}")
    if table is not None:
        typer.echo()
        _print(text.ranking(scores, table))


def _print(renderable: object) -> None:
    from rich.console import Console

    Console(highlight=False).print(renderable)
