"""What goes to the terminal beside plain lines."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer

from zcfast.errors import printable

EVERY = 30.0  # s between two lines where no bar can be drawn


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[int, int], None]]:
    """Give a function of rows done and rows in all that draws a bar, with the time to go, on stderr.

    Where that is no terminal it prints a line every half minute.
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import Progress

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines(title)
        return
    # A row may take minutes: of the last half minute alone there would be no time to go.
    with Progress(console=console, speed_estimate_period=3600) as bar:
        task = bar.add_task(escape(printable(title)), total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _lines(title: str) -> Callable[[int, int], None]:
    """A function of rows done and rows in all that now and then prints both."""
    told = time.monotonic()

    def report(done: int, total: int) -> None:
        nonlocal told
        if time.monotonic() - told >= EVERY:
            told = time.monotonic()
            print(f"zcfast: {printable(title)}: {done:,} of {total:,}", file=sys.stderr, flush=True)

    return report


def say(text: str = "") -> None:
    """Print lines on stdout, without the codes in what files and users have named that would move a cursor."""
    typer.echo("\n".join(map(printable, text.split("\n"))))


def show(renderable: object) -> None:
    """Print a table on stdout, as wide as the terminal, its texts as they are but for what `say` leaves out."""
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.segment import Segment

    class Printable:
        def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
            for segment in console.render(renderable, options):  # type: ignore[arg-type]
                lines = segment.text.split("\n")
                yield segment if segment.control else Segment("\n".join(map(printable, lines)), segment.style)

    Console(highlight=False, markup=False, emoji=False).print(Printable())
