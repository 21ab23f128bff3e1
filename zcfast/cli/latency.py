"""`zcfast latency`: parsing and printing only."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zcfast.cli import arguments, terminal
from zcfast.cli.arguments import ArchitecturesOption, DeviceOption, NetworkOption, SpaceArgument

if TYPE_CHECKING:
    from zcfast.latency import Measured

EXAMPLES = """Examples:

    zcfast latency mymodule:space --sample 20 --out latency.csv

    zcfast latency nasbench201 --sample 20 --device cuda --batch 64 --out latency.csv

    zcfast design mymodule:space --costs latency.csv --limit latency=12ms --out found.parquet"""

SAMPLE = 20


def latency(
    space: SpaceArgument,
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="The CSV file to write, as --costs takes it; in one step.")
    ],
    sample: Annotated[
        int | None, typer.Option("--sample", metavar="N", min=1, help="Measure N architectures drawn at random (20).")
    ] = None,
    architectures: ArchitecturesOption = None,
    device: DeviceOption = "cpu",
    runtime: Annotated[
        str, typer.Option("--runtime", metavar="NAME", help="torch, torch.compile or onnxruntime.")
    ] = "torch",
    batch: Annotated[int, typer.Option("--batch", metavar="B", min=1, help="Samples at once.")] = 1,
    threads: Annotated[int, typer.Option("--threads", metavar="K", min=1, help="Of the CPU.")] = 1,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Of the sample.")] = 0,
    option: NetworkOption = None,
) -> None:
    """Measure how long networks of a search space take on this machine."""
    import zcfast
    from zcfast.cli.spaces import chosen_cells
    from zcfast.files import check_writable
    from zcfast.latency import TooNoisyError, measure
    from zcfast.spaces import Enumerated

    options = arguments.options(option or [])
    check_writable(out, architectures)
    measured_space = zcfast.space(space)
    if sample is None and architectures is None:
        listed = measured_space.offers(Enumerated)
        sample = SAMPLE if listed is None else min(SAMPLE, len(listed))
    cells: Any = chosen_cells(measured_space, sample, architectures, seed)
    given = {"device": device, "runtime": runtime, "batch": batch, "threads": threads, **options}
    try:
        with terminal.progress_bar(f"Measuring {measured_space.title}") as progress:
            measured = measure(measured_space, cells, progress=progress, **given)
    except TooNoisyError as error:
        raise ValueError(str(error)) from error
    _write(out, measured_space.format(cells), measured)
    least, most = measured.milliseconds.min().item(), measured.milliseconds.max().item()
    between = f"{least:.4g} to {most:.4g} ms, {measured.spread.median().item():.2g} ms between the quartiles of one"
    terminal.say(f"{len(cells):,} architectures of {measured_space.title} by {runtime}: {between}")
    terminal.say(f"written to {out}")


def _write(out: Path, texts: list[str], measured: Measured) -> None:
    from zcfast.files import replace_file

    rows: list[list[Any]] = [["architecture", "latency", "spread"]]
    columns = (each.tolist() for each in (measured.milliseconds, measured.spread))
    rows += [[text, f"{value:.6g}", f"{spread:.3g}"] for text, value, spread in zip(texts, *columns, strict=True)]
    with replace_file(out) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
