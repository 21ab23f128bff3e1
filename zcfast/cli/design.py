"""`zcfast design`: parsing and printing only."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zcfast.cli import arguments, terminal
from zcfast.cli.arguments import BatchSizeOption, DeviceOption, ImagesOption, NetworkOption, OutOption, SpaceArgument

if TYPE_CHECKING:
    from zcfast.designing import Design
    from zcfast.spaces import SearchSpace
    from zcfast.tables import Table

EXAMPLES = """Examples:

    zcfast design mymodule:space --limit flops=450M --limit params=5M --evaluations 10000 --out found.parquet

    zcfast design nasbench101 --limit flops=1G --out found.parquet

    zcfast design nasbench201 --costs latency.csv --limit fpga=4.7ms --by expected_synflow --out found.parquet

    zcfast design mymodule:space --trained accuracies.csv --limit params=5M --out found.parquet

    zcfast show found.parquet --top 3

    zcfast report found.parquet --out report.html"""

SHOWN = 5
LEARNED = 500  # measured architectures from which the others' costs are learned; of more, what is missing is over


def design(
    space: SpaceArgument,
    out: OutOption,
    limit: Annotated[
        list[str] | None,
        typer.Option("--limit", metavar="NAME=MOST", help="flops=450M, params=5M, or a cost of --costs; repeatable."),
    ] = None,
    costs: Annotated[
        Path | None,
        typer.Option("--costs", metavar="FILE", help="Costs by architecture, such as zcfast latency writes."),
    ] = None,
    by: Annotated[
        str,
        typer.Option(
            "--by",
            metavar="A,B,...",
            help="Scores that rank, or a set of them (zcfast proxies); -NAME: a small one is good.",
        ),
    ] = "recommended",
    trained: Annotated[
        str | None,
        typer.Option(
            "--trained", metavar="FILE", help="Accuracies that you have: a table, or an Optuna journal or URL."
        ),
    ] = None,
    metric: Annotated[
        str | None, typer.Option("--metric", metavar="NAME", help="Of a table of accuracies with several.")
    ] = None,
    minimise: Annotated[
        list[str] | None, typer.Option("--minimise", metavar="NAME", help="A cost to trade off; repeatable.")
    ] = None,
    evaluations: Annotated[
        int | None, typer.Option("--evaluations", metavar="N", min=1, help="Architectures to consider.")
    ] = None,
    sampler: Annotated[
        str | None, typer.Option("--sampler", metavar="NAME", help="Of Optuna: nsga2, tpe, qmc, random, ...")
    ] = None,
    storage: Annotated[
        str | None, typer.Option("--storage", metavar="URL", help="Of Optuna, which gets every trial.")
    ] = None,
    images: ImagesOption = None,
    batch_size: BatchSizeOption = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Of all that is drawn.")] = 0,
    device: DeviceOption = "cpu",
    workers: arguments.WorkersOption = None,
    option: NetworkOption = None,
) -> None:
    """Find the best architectures of a search space under limits, without training."""
    import zcfast
    from zcfast.cli.spaces import minibatch
    from zcfast.designing import DesignInterrupted
    from zcfast.files import check_writable, file_of
    from zcfast.scoring.store import Store

    options = arguments.options(option or [])
    pictures = None if images == arguments.RANDOM else images
    check_writable(out, costs, pictures, *(file_of(each) for each in (trained, storage) if each is not None))
    searched = zcfast.space(space)
    limits = _limits(searched, limit or [], costs)
    names = [name.strip() for name in by.split(",") if name.strip()]
    target = out.resolve() if out.is_symlink() else out
    batch = None if images is None else minibatch(searched, options, images, batch_size or 64, seed)
    with Store(target.with_name(target.name + ".parts")) as store:
        try:
            with terminal.progress_bar(f"Designing {searched.title}") as progress:
                found = zcfast.design(
                    searched,
                    by=names[0] if len(names) == 1 else names,
                    trained=_trained(searched, trained, metric),
                    limits=limits,
                    minimise=minimise or (),
                    evaluations=evaluations,
                    seed=seed,
                    workers=workers,
                    images=batch,
                    device=device,
                    parts=store,
                    progress=progress,
                    sampler=sampler,
                    storage=storage,
                    **options,
                )
        except DesignInterrupted as interrupted:
            _finish(interrupted.found, out)
            terminal.say(f"finished scores are kept in {store.given}: the same command goes on from there")
            raise
        _finish(found, out)
        store.clear()


def _finish(found: Design, out: Path) -> None:
    from zcfast.designing.found import summary
    from zcfast.report import text

    if not len(found.tried):
        terminal.say(f"nothing was considered yet: {out} is not written")
        return
    found.save(out)
    terminal.say(summary(found))
    terminal.say(f"\nThe best {min(SHOWN, len(found))}:\n\n{text.best(found.scores, 'design', SHOWN)}")
    terminal.say(f"\nwritten to {out}")


def _trained(space: SearchSpace[Any], source: str | None, metric: str | None) -> Any:
    """A study or a table of accuracies, with the metric that is meant."""
    if source is None:
        if metric is not None:
            raise ValueError("--metric: no effect without --trained")
        return None
    from zcfast.designing.trained import read
    from zcfast.tables import Table

    known = read(space, source)
    if metric is not None and not isinstance(known, Table):
        raise ValueError(f"--metric: no effect on a study, which has one objective, got {metric!r}")
    return known if metric is None else (known, metric)


def _limits(space: SearchSpace[Any], pairs: list[str], costs: Path | None) -> dict[str, Any]:
    """Limits by name: numbers of sizes, and columns of a table with numbers."""
    from zcfast import tables
    from zcfast.designing.limits import COUNTED, quantity
    from zcfast.errors import unknown

    table = None if costs is None else tables.load(space, costs)
    limits: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or name in limits or name.endswith(("<", ">", "!")):
            raise ValueError(f"--limit: expected NAME=MOST, such as flops=450M, each name once, got {pair!r}")
        most = quantity(f"--limit {name}", name, text)
        if table is not None and name in table.metrics:
            limits[name] = _cost(space, table, name), most
        elif name in COUNTED:
            limits[name] = most
        else:
            raise unknown("limit", name, [*COUNTED, *(table.metrics if table is not None else ())])
    return limits


def _cost(space: SearchSpace[Any], table: Table, name: str) -> Any:
    """A column of a table; where it has few of the architectures, what is learned from them of all."""
    from zcfast import latency

    column = table[name]
    rows = (~column.isnan()).nonzero()[:, 0]
    if not table.names and (len(rows) > LEARNED or len(rows) == len(column)):
        return column
    cells = space.parse([table.names[row] for row in rows.tolist()]) if table.names else rows
    terminal.say(f"{name} is learned from {len(rows):,} measured architectures")
    return latency.fit(space, cells, column[rows])
