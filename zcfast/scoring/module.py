"""Finds a model by its import path, and writes its scores as JSON values."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from zcfast.errors import first_line
from zcfast.images import ImageBatch
from zcfast.import_paths import imported, made
from zcfast.notebook import finite
from zcfast.passes.batch import find_logits
from zcfast.passes.isolation import isolated
from zcfast.scoring.net import Score
from zcfast.version import __version__


def load_module(path: str, seed: int, arguments: Mapping[str, Any] | None = None) -> nn.Module:
    """The model at ``module:name``: an nn.Module, or what a class or function of that name returns for the arguments.

    Imports as Python does, from the current directory too. torch's seed is set before the import and again before the
    call, so that the weights can be drawn again.

    Raises:
        ValueError: one line that names the path: not of this form, the import or the call raises, or gives no module.
    """
    torch.manual_seed(seed)
    module = found = imported(path, "torchvision.models:resnet18")
    torch.manual_seed(seed)
    if not isinstance(found, nn.Module) and callable(found):
        module = made(path, lambda: found(**(arguments or {})))
    if arguments and module is found:
        raise ValueError(f"{path}: expected a class or function for arguments, got {type(found).__name__}")
    if not isinstance(module, nn.Module):
        raise ValueError(f"{path}: expected an nn.Module or what returns one, got {type(module).__name__}")
    return module


def count_classes(module: nn.Module, shape: tuple[int, ...]) -> int:
    """How many logits the net, on the CPU, gives for an input of a shape; the net stays as it is.

    Raises:
        ValueError: the net raises, or its output has no logits [B, classes, ...].
    """
    try:
        with isolated(module, train=False), torch.no_grad():
            logits = find_logits(module(torch.ones(2, *shape)))
    except Exception as error:  # a user's own code: what it raises is the answer
        raise ValueError(f"the model raised {type(error).__name__}: {first_line(error)}") from error
    if logits.dim() < 2:
        raise ValueError(f"the model: expected logits [B, classes, ...], got shape {list(logits.shape)}")
    return logits.shape[1]


def as_json(scores: Mapping[str, Score], batch: ImageBatch, **protocol: Any) -> dict[str, Any]:
    """Scores as JSON values, null where there is no number or JSON has none; with what they were made under."""
    made_under = dataclasses.asdict(next(iter(scores.values())).protocol)
    return {
        **protocol,
        "zcfast": __version__,
        "torch": torch.__version__,
        "images": batch.protocol(),
        "protocol": made_under,
        "scores": {
            name: {
                "value": finite(score.value),
                "log_value": finite(score.log_value),
                "standard_error": finite(score.standard_error),
                "status": score.status,
                "reason": score.reason,
                "method": score.method,
                "higher_is_better": score.higher_is_better,
                "seconds": score.seconds,
            }
            for name, score in scores.items()
        },
    }
