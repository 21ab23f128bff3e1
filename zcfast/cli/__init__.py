"""The command line: parsing and printing only."""

from __future__ import annotations

import errno
import gc
import math
import os
import signal
import sys
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import zcfast
from zcfast.cli import design, latency, modules, proxies, reports, search, show, spaces, tables, terminal
from zcfast.errors import Notice, printable, shortened

# torch, pyarrow and scipy are imported inside the commands: --help answers at once.

INTERRUPTED = 130  # what a shell reports for a process that Ctrl-C ended
_showwarning = warnings.showwarning
UsageError: Any = typer.BadParameter.__mro__[1]  # of click, or of the click that newer releases of typer bundle


class _Commands(TyperGroup):
    """Commands of one word or of two: `score SPACE` takes any search space, `score torch` is a command of its own."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command that the first words name."""
        name = " ".join(args[:2])
        return super().resolve_command(ctx, [name, *args[2:]] if name in self.commands else args)


app = typer.Typer(
    cls=_Commands,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("score", epilog=spaces.SCORE_EXAMPLES)(spaces.score)
app.command("score torch", epilog=modules.EXAMPLES)(modules.score)
app.command("import", epilog=tables.EXAMPLES)(tables.import_table)
app.command("design", epilog=design.EXAMPLES)(design.design)
app.command("latency", epilog=latency.EXAMPLES)(latency.latency)
app.command("proxies")(proxies.list_proxies)
app.command("algorithms")(search.list_algorithms)
app.command("report", epilog=reports.EXAMPLES)(reports.report)
app.command("search", epilog=search.EXAMPLES)(search.search)
app.command("show", epilog=show.EXAMPLES)(show.show)


def _print_version(wanted: bool) -> None:
    if wanted:
        terminal.say(zcfast.__version__)
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Score neural networks and whole search spaces without training."""


@app.command("spaces")
def list_spaces() -> None:
    """List the search spaces and their sizes."""
    from zcfast.spaces import Decisions, Enumerated, names, space

    for each in map(space, names()):
        listed, chosen = each.offers(Enumerated), each.offers(Decisions)
        size = "any number of architectures"
        if listed is not None:
            size = f"{len(listed):,} architectures, {listed.classes:,} up to isomorphism"
        elif chosen is not None:
            size = f"at most {math.prod(chosen.sizes):,} architectures, which are not listed"
        terminal.say(f"{each.name}   {each.title}: {size}")
        terminal.say(f"              {each.source}")


@app.command("info")
def print_info() -> None:
    """Print versions, SIMD level, threads and CUDA."""
    from zcfast.info import info

    for name, value in info().items():
        terminal.say(f"{name + ':':13}{value}")


def main() -> None:
    """Run the command line; every error is one line on stderr and an exit status other than zero."""
    # A terminal that cannot show a character gets a question mark, not an exception.
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed: what is printed goes nowhere
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 # open until the end
        getattr(sys, name).reconfigure(errors="replace")
    # Batch systems, `timeout` and a closed terminal stop a process so: what Ctrl-C keeps is kept then too.
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
            signal.signal(number, signal.default_int_handler)
    warnings.showwarning = _show_warning
    if "torch" not in sys.modules:
        sys.meta_path.insert(0, _NumpyFirst())
    try:
        status = app(sys.argv[1:] or ["--help"], standalone_mode=False) or 0
        if status == INTERRUPTED:  # newer releases of typer turn Ctrl-C into this status, older ones into Abort
            raise KeyboardInterrupt
        sys.stdout.flush()  # what cannot be written is found here, not while Python ends
        sys.exit(status)
    except UsageError as error:
        _fail(error.format_message(), 2)
    except (KeyboardInterrupt, typer.Abort):
        _fail("interrupted", INTERRUPTED)
    except BrokenPipeError:  # the reader of our output, such as head, has seen enough
        _discard_output()
        sys.exit(1)
    except (ValueError, OSError, ImportError) as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            _discard_output()
        _fail(str(error), 1)
    finally:
        gc.freeze()  # the process ends: searching all that torch has loaded for cycles would take 0.4 s more


class _NumpyFirst:
    """Imports numpy before torch does, whose C code would let go a Ctrl-C that comes meanwhile."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        """Find nothing."""
        if name == "torch":
            import numpy  # noqa: F401


def _discard_output() -> None:
    """Let what is still to be written go nowhere, for Python would try again at its end and complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _show_warning(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
    """Print a notice of ours as one line, and a warning of another library as Python does."""
    if issubclass(category, Notice):
        print("zcfast:", printable(shortened(" ".join(str(message).split()))), file=sys.stderr)
    else:
        _showwarning(message, category, *place, **more)


def _fail(message: str, status: int) -> None:
    with suppress(OSError, ValueError):  # nobody reads it: the stream is closed
        print("zcfast:", printable(shortened(" ".join(message.split()))), file=sys.stderr)
    sys.exit(status)
