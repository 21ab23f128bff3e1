"""`zcfast import`: parsing and printing only."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zcfast.cli import terminal
from zcfast.cli.arguments import OutOption

if TYPE_CHECKING:
    from zcfast.tables import Table

EXAMPLES = """Examples:

    zcfast import nasbench101 nasbench_only108.tfrecord --out 101.parquet

    zcfast import nasbench201 NATS-tss-v1_0-3ffb9-simple --out 201.parquet

    zcfast import transnas_micro transnas/ --out micro.parquet"""


def import_table(
    space: Annotated[str, typer.Argument(metavar="SPACE", help="The search space or the benchmark.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A release's file or directory, .npz, CSV or Parquet.")],
    out: OutOption,
) -> None:
    """Read a benchmark's release and write its accuracies as one small file that loads at once."""
    from zcfast import tables
    from zcfast.files import check_writable

    check_writable(out, file)
    table = tables.load(space, file)
    table.save(out)
    terminal.say(f"{table.description}\n")
    _print_metrics(table)
    terminal.say(f"written to {out}")


def _print_metrics(table: Table) -> None:
    """A line for each metric: what it is and how many values there are."""
    from rich.table import Table as TextTable

    text = TextTable(box=None, pad_edge=False)
    for heading in ("metric", "data", "split", "epochs", "unit", "seeds", "values"):
        text.add_column(heading, justify="right" if heading in ("epochs", "values") else "left", overflow="fold")
    for name, metric in table.metrics.items():
        epochs, seeds = "" if metric.epochs is None else str(metric.epochs), ", ".join(map(str, metric.seeds))
        count = int((~metric.values.isnan()).sum())
        text.add_row(name, metric.dataset, metric.split, epochs, metric.unit, seeds, f"{count:,}")
    terminal.show(text)
