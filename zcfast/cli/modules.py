"""`zcfast score torch`: any nn.Module by its import path."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zcfast.cli import arguments, terminal
from zcfast.cli.arguments import BatchSizeOption, DeviceOption, ImagesOption, ProxiesOption, SeedOption

if TYPE_CHECKING:
    from torch import nn

    from zcfast.images import ImageBatch

EXAMPLES = """Examples:

    zcfast score torch torchvision.models:resnet18 --input 3x224x224

    zcfast score torch my_models:small --images cifar10.npz --proxies snip,synflow --out s.json

    zcfast score torch my_models:small --input 3x32x32 --classes 10 --batch-size 64

    zcfast score torch timm:create_model --arg model_name=resnet18 --input 3x224x224"""


ModelArgument = Annotated[
    str, typer.Argument(metavar="MODULE:NAME", help="An nn.Module, or what returns one, importable from here.")
]
InputOption = Annotated[
    str | None,
    typer.Option("--input", metavar="CxHxW", help="Shape of one input; standard-normal noise without --images."),
]
ClassesOption = Annotated[
    int | None,
    typer.Option("--classes", metavar="N", min=1, help="Of the noise's targets; by default the model's logits."),
]
JsonOption = Annotated[
    Path | None, typer.Option("--out", metavar="FILE", help="A JSON file to write; replaced in one step.")
]


def score(
    model: ModelArgument,
    input_shape: InputOption = None,
    classes: ClassesOption = None,
    images: ImagesOption = None,
    batch_size: BatchSizeOption = None,
    proxies: ProxiesOption = "paper",
    seed: SeedOption = None,
    device: DeviceOption = "cpu",
    argument: Annotated[
        list[str] | None,
        typer.Option("--arg", metavar="KEY=VALUE", help="An argument of the class or function; repeatable."),
    ] = None,
    out: JsonOption = None,
) -> None:
    """Score a PyTorch model by its import path."""
    names, shape = arguments.proxy_names(proxies), _shape(input_shape)
    given = arguments.key_values("--arg", argument or [])
    batch_size, seed = batch_size or 8, seed or 0

    import zcfast
    from zcfast.devices import find_device
    from zcfast.files import check_writable
    from zcfast.nets.inputs import mapped, sample_count, sample_shape
    from zcfast.report import text
    from zcfast.scoring.module import as_json, load_module

    if out is not None:
        check_writable(out, images)
    where = find_device(device)
    module = load_module(model, seed, given)
    try:
        batch = _batch(module, shape, classes, images, batch_size, seed)
        inputs = mapped(lambda x: x.to(where), batch.inputs)
        scores = zcfast.score(module.to(where), (inputs, batch.targets.to(where)), names, seed=seed)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{model}: {error}") from error
    failures = [f"{each.status}: {each.reason}" for each in scores.values() if each.status != "ok"]
    if len(failures) == len(scores):
        raise ValueError(f"{model}: no score: {failures[0]}")
    sizes = "x".join(map(str, sample_shape(batch.inputs)))
    terminal.say(f"{model}: {sample_count(batch.inputs)} inputs of {sizes}, {batch.source['images']}")
    terminal.show(text.proxies(scores))
    if out is not None:
        _write(out, as_json(scores, batch, model=model, seed=seed))
        terminal.say(f"written to {out}")


def _shape(text: str | None) -> tuple[int, ...] | None:
    """The shape of one input from sizes with x between."""
    if text is None:
        return None
    if not re.fullmatch(r"[1-9][0-9]{0,8}(x[1-9][0-9]{0,8})*", text):
        raise ValueError(f"--input: expected sizes with x between, such as 3x224x224, got {text!r}")
    return tuple(map(int, text.split("x")))


def _batch(
    module: nn.Module, shape: tuple[int, ...] | None, classes: int | None, images: str | None, size: int, seed: int
) -> ImageBatch:
    """The minibatch: images of a file, or noise of the shape that --input asks for."""
    from zcfast.images import load_images, random_images
    from zcfast.nets.inputs import sample_shape
    from zcfast.scoring.module import count_classes

    if images is None or images == arguments.RANDOM:
        if shape is None:
            raise ValueError("--input: expected the shape of one input, such as 3x224x224, or --images PATH, got none")
        return random_images(size, shape, classes or count_classes(module, shape), seed)
    if classes is not None:
        raise ValueError("--classes: no effect on targets that come with --images PATH")
    batch = load_images(images, size, seed)
    came = sample_shape(batch.inputs)
    if shape is not None and came != list(shape):
        expected = "x".join(map(str, came))
        raise ValueError(f"--input: expected {expected}, the shape of the images, got {'x'.join(map(str, shape))}")
    return batch


def _write(out: Path, content: dict[str, Any]) -> None:
    from zcfast.files import replace_file

    with replace_file(out) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n")
