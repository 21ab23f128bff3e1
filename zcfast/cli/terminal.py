"""What goes to the terminal beside plain lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[int, int], None]]:
    """Give a function of rows done and rows in all that draws a bar, with the time to go, on stderr if a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    # A row may take minutes: of the last half minute alone there would be no time to go.
    with Progress(console=console, disable=not console.is_terminal, speed_estimate_period=3600) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def show(renderable: object) -> None:
    """Print a table on stdout, as wide as the terminal."""
    from rich.console import Console

    Console(highlight=False).print(renderable)
