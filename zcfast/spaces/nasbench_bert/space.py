"""NAS-Bench-BERT (Serianni and Kalita 2023): BERT encoders of 2 or 4 layers of different kinds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch

from zcfast.spaces.base import Example
from zcfast.spaces.capabilities import Readers
from zcfast.spaces.nasbench_bert.network import OPERATIONS, VOCABULARY, Discriminator, Layer
from zcfast.spaces.own.builder import Builder
from zcfast.spaces.own.digits import Digits
from zcfast.spaces.own.space import CountedSpace
from zcfast.spaces.own.trial import Trial

SAMPLES, LENGTH, REPLACED = 8, 64, 0.15  # of the example: texts, tokens of each, and the share that was replaced
# What the release calls an operation: its type and its parameter.
_RELEASED: Mapping[tuple[str, str | int], str] = {
    ("SA", "SDP"): "SDP",
    ("SA", "WMA"): "WMA",
    ("LT", "DFT"): "DFT",
    ("LT", "DCT"): "DCT",
    ("DSC", 5): "DSC5",
    ("DSC", 9): "DSC9",
}


class NasBenchBert(CountedSpace):
    """10,621,440 encoders, of which the benchmark trained 500; a text is the choices of one as JSON.

    Networks take tokens int64 [N, T], T at most 512, of BERT's vocabulary, and give logits [N, 2, T]: whether each
    token was replaced, the objective by which the benchmark pre-trained its encoders. ``parse`` takes the release's
    configurations too. The example is random tokens. Facts about the benchmark: docs/bert.md.
    """

    name = "nasbench_bert"
    title = "NAS-Bench-BERT"
    source = (
        "Serianni and Kalita, Training-free Neural Architecture Search for RNNs and Transformers, ACL 2023; the space "
        "is that of Tuli et al., FlexiBERT, JAIR 2023"
    )
    elsewhere: ClassVar = {
        **CountedSpace.elsewhere,
        Readers: "zcfast.spaces.nasbench_bert.readers:Files",
    }

    def __new__(cls) -> NasBenchBert:
        """A space of a function, as a user's own is."""
        space = object.__new__(cls)
        space._builder, space._uncounted, space.example = Builder(network), "", _example()
        space._digits = Digits(space._builder)
        return space

    def __reduce__(self) -> Any:
        """Made again in another process."""
        return NasBenchBert, ()

    def _parse(self, architecture: Any) -> Trial:
        released = isinstance(architecture, Mapping) and "nas_config" in architecture
        return super()._parse(choices_of(architecture) if released else architecture)


def network(trial: Any) -> Discriminator:
    """The network of a trial's choices."""
    hidden = trial.suggest_categorical("hidden_size", [128, 256])
    count = trial.suggest_categorical("layers", [2, 4])
    return Discriminator(hidden, [_layer(trial, place) for place in range(count)])


def choices_of(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """The choices of a configuration as the release has it (`hparams`, `model_hparam_overrides`).

    Raises:
        ValueError: a field is missing, or an operation unknown.
    """
    try:
        layers = configuration["nas_config"]["encoder_layers"]
        choices: dict[str, Any] = {"hidden_size": configuration["hidden_size"], "layers": len(layers)}
        for place, layer in enumerate(layers):
            choices[f"operation{place}"] = _RELEASED[layer["operation_type"], layer["operation_parameter"]]
            choices[f"heads{place}"] = layer["num_operation_heads"]
            choices[f"ff_width{place}"] = layer["feed_forward_dimension"]
            choices[f"ff_depth{place}"] = layer["num_feed_forward"]
    except (KeyError, TypeError) as error:
        raise ValueError(f"architecture: expected a configuration of the release, got none: no {error}") from error
    return choices


def _layer(trial: Any, place: int) -> Layer:
    return Layer(
        operation=trial.suggest_categorical(f"operation{place}", OPERATIONS),
        heads=trial.suggest_categorical(f"heads{place}", [2, 4]),
        width=trial.suggest_categorical(f"ff_width{place}", [512, 1024]),
        depth=trial.suggest_categorical(f"ff_depth{place}", [1, 3]),
    )


def _example() -> Example:
    """Random tokens, none of them padding."""
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(1, VOCABULARY, (SAMPLES, LENGTH), generator=generator)
    replaced = torch.rand(SAMPLES, LENGTH, generator=generator) < REPLACED
    return Example(tokens, replaced.long())
