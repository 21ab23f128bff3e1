"""`zcfast search`: parsing and printing only."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zcfast.cli import summaries, terminal
from zcfast.cli.arguments import OutOption, SpaceArgument, TargetOption

if TYPE_CHECKING:
    from torch import Tensor

    from zcfast.spaces import CellSpace

EXAMPLES = """Examples:

    zcfast search nasbench201 --table 201.parquet --algorithm random_search --out t.parquet

    zcfast search nasbench201 --table 201.parquet --algorithm ageing_evolution --proxy expected_synflow --warmup 3000 --objective valid_cifar100 --report test_cifar100 --target 73.5 --out t.parquet

    zcfast search nasbench101 --table 101.parquet --algorithm reinforce --proxy synflow --scores s.parquet --move-proposal --out t.parquet"""  # noqa: E501


def search(
    space: SpaceArgument,
    table: Annotated[
        Path, typer.Option("--table", metavar="TABLE", help="Accuracies that zcfast import reads or wrote.")
    ],
    algorithm: Annotated[
        str, typer.Option("--algorithm", metavar="NAME", help="One of zcfast algorithms, or mymodule:Mine.")
    ],
    out: OutOption,
    warmup: Annotated[
        int | None,
        typer.Option("--warmup", metavar="N", min=1, help="Score N architectures before the first training."),
    ] = None,
    move_proposal: Annotated[bool, typer.Option("--move-proposal", help="Let scores propose the moves.")] = False,
    proxy: Annotated[
        str | None, typer.Option("--proxy", metavar="NAME", help="Closed form, or a column of --scores.")
    ] = None,
    scores: Annotated[
        Path | None, typer.Option("--scores", metavar="SCORES", help="A file that zcfast score wrote, with the proxy.")
    ] = None,
    objective: Annotated[
        str | None, typer.Option("--objective", metavar="METRIC", help="Metric to maximise; by default validation.")
    ] = None,
    report: Annotated[
        str | None, typer.Option("--report", metavar="METRIC", help="Metric to show; by default the headline.")
    ] = None,
    repetition: Annotated[
        str, typer.Option("--repetition", metavar="mean|random", help="Mean of training runs, or one drawn at a time.")
    ] = "mean",
    runs: Annotated[int, typer.Option("--runs", metavar="R", min=1, help="Independent runs.")] = 32,
    budget: Annotated[int, typer.Option("--budget", metavar="B", min=1, help="Trainings of each run.")] = 300,
    target: TargetOption = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Of all runs.")] = 0,
) -> None:
    """Search a space on a table of accuracies, many runs at once."""
    import zcfast
    from zcfast import search as engine
    from zcfast import tables
    from zcfast.files import check_writable

    if target is not None and math.isnan(target):
        raise ValueError("--target: expected an accuracy, got nan")
    check_writable(out, table, scores)
    search_space = zcfast.space(space)
    chosen = _algorithm(algorithm, search_space, warmup, move_proposal, proxy, scores)
    accuracies = tables.load(search_space, table)
    try:
        with terminal.progress_bar(f"Searching {search_space.title}") as progress:
            trajectory = engine.run(
                chosen,
                search_space,
                accuracies,
                budget=budget,
                runs=runs,
                objective=objective,
                report=report,
                repetition=repetition,  # type: ignore[arg-type] # checked there
                seed=seed,
                progress=progress,
            )
    except engine.SearchInterrupted as interrupted:
        interrupted.trajectory.save(out)
        terminal.say(f"{int((interrupted.trajectory.rows >= 0).sum()):,} trainings before the interruption: {out}")
        raise
    trajectory.save(out)
    summaries.trajectory(trajectory, target)
    terminal.say(f"written to {out}")


def _algorithm(
    name: str, space: CellSpace[Any], warmup: int | None, move: bool, proxy: str | None, scores: Path | None
) -> Any:
    """The algorithm with its warm-up and its move proposal."""
    from zcfast import search as engine
    from zcfast.errors import unknown
    from zcfast.import_paths import imported, made

    if ":" not in name and name not in engine.ALGORITHMS:
        raise unknown("algorithm", name, engine.ALGORITHMS)
    kind = imported(name, "mymodule:MyAlgorithm") if ":" in name else engine.ALGORITHMS[name]
    algorithm = made(name, kind) if callable(kind) else kind
    if not isinstance(algorithm, engine.Algorithm):
        raise ValueError(f"{name}: expected a class of zcfast.search.Algorithm, got {kind!r}")
    for needed in algorithm.needs:
        space.capability(needed)
    if warmup is None and not move:
        for flag, value in (("--proxy", proxy), ("--scores", scores)):
            if value is not None:
                raise ValueError(f"{flag}: no effect without --warmup or --move-proposal")
        return algorithm
    if proxy is None:
        raise ValueError("--proxy: expected the name of a score for --warmup and --move-proposal, got none")
    if warmup is not None and warmup > len(space):
        raise ValueError(f"--warmup: expected at most {len(space)} architectures, the size of the space, got {warmup}")
    column = _column(space, proxy, scores)
    if warmup is not None:
        algorithm = engine.warmup(algorithm, column, warmup)
    return engine.move_proposal(algorithm, column) if move else algorithm


def _column(space: CellSpace[Any], proxy: str, path: Path | None) -> Tensor:
    """A score of every architecture of the space, NaN where the file has none."""
    import torch

    import zcfast
    from zcfast.scores import Scores

    if path is None:
        known: Tensor = zcfast.score_space(space, [proxy])[proxy]
        return known
    loaded = Scores.load(path)
    if loaded.space.name != space.name:
        raise ValueError(f"{path}: expected scores of {space.name}, got those of {loaded.space.name}")
    column = torch.full((len(space),), torch.nan, dtype=torch.float64)
    column[space.index(loaded.cells)] = loaded[proxy].double()
    return column


def list_algorithms() -> None:
    """List the search algorithms."""
    from zcfast.search import ALGORITHMS

    for name, kind in ALGORITHMS.items():
        terminal.say(f"{name:18}{kind.definition}")
