"""Options that commands share, and what their texts mean."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer


def _parquet(path: Path) -> Path:
    """The name of a Parquet file, refused before hours of work if it says something else."""
    from zcfast.files import check_parquet_name

    check_parquet_name(path)
    return path


ProxiesOption = Annotated[
    str,
    typer.Option(
        "--proxies",
        metavar="A,B,...",
        help="Names (zcfast proxies), paper, modern, cheap, all or mymodule:Mine, with commas. The first ranks.",
    ),
]
ImagesOption = Annotated[
    str | None,
    typer.Option(
        "--images", metavar="PATH", help="An .npz, a directory of CIFAR or ImageNet16 batches, or 'random' for noise."
    ),
]
BatchSizeOption = Annotated[
    int | None, typer.Option("--batch-size", metavar="B", min=1, help="Images in the minibatch (64; 8 for a module).")
]
SeedOption = Annotated[
    int | None,
    typer.Option("--seed", metavar="N", min=0, max=2**64 - 1, help="Of the weights, the minibatch and the sample (0)."),
]
DeviceOption = Annotated[str, typer.Option("--device", metavar="cpu|cuda", help="Where the networks run.")]
WorkersOption = Annotated[
    int | None,
    typer.Option("--workers", metavar="K", min=1, help="Processes of one thread each that score sampled networks."),
]
SpaceArgument = Annotated[
    str, typer.Argument(metavar="SPACE", help="The search space (zcfast spaces); torch: see zcfast score torch -h.")
]
OutOption = Annotated[
    Path,
    typer.Option("--out", metavar="FILE", callback=_parquet, help="The Parquet file to write; replaced in one step."),
]
SampleOption = Annotated[
    int | None, typer.Option("--sample", metavar="N", min=1, help="Score N architectures drawn at random.")
]
ArchitecturesOption = Annotated[
    Path | None, typer.Option("--architectures", metavar="FILE", help="Score those of a text file, one a line.")
]
NetworkOption = Annotated[
    list[str] | None, typer.Option("--option", metavar="KEY=VALUE", help="An option of the network; repeatable.")
]
TableOption = Annotated[
    Path | None,
    typer.Option(
        "--table", metavar="ACCURACIES", help="Accuracies to compare with: any file that zcfast import reads or wrote."
    ),
]
TopOption = Annotated[
    int | None, typer.Option("--top", metavar="K", min=0, help="How many of the best architectures to draw (5).")
]
TargetOption = Annotated[
    float | None, typer.Option("--target", metavar="X", help="Count the trainings until this is reached.")
]
FileSpaceOption = Annotated[
    str | None,
    typer.Option("--space", metavar="SPACE", help="The space of the file, where that is at an import path."),
]

RANDOM = "random"  # what --images takes in place of a path


def proxy_names(proxies: str) -> list[str]:
    """The names of a list with commas; paper, modern, cheap and all stand for the sets of these names."""
    from zcfast.proxies.sets import expanded

    names: list[str] = expanded([name.strip() for name in proxies.split(",") if name.strip()])
    if not names or len(set(names)) != len(names):
        raise ValueError(f"--proxies: expected different names with commas between, got {proxies!r}")
    return names


def options(pairs: list[str]) -> dict[str, Any]:
    """Options from KEY=VALUE: a value that is JSON (a number, true, null), True or False is read, any other is text."""
    return key_values("--option", pairs)


def key_values(flag: str, pairs: list[str]) -> dict[str, Any]:
    """What a repeatable flag of the form KEY=VALUE was given."""
    result: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.isidentifier() or key in result:
            raise ValueError(f"{flag}: expected KEY=VALUE, each key once, got {pair!r}")
        try:
            result[key] = json.loads({"True": "true", "False": "false"}.get(value, value))
        except ValueError:
            result[key] = value
    return result
