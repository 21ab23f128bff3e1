"""Named initialisations: their draws, and the mean absolute weights that closed forms need."""

import math
from dataclasses import dataclass

import torch
from torch import nn

from zcfast.errors import unknown

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm)
_NORMAL = math.sqrt(2 / math.pi)  # E|x| of a standard normal


@dataclass(frozen=True)
class Initialisation:
    """Sizes of random weights.

    A convolution has E|w| = scale / sqrt(fan), fan = kernel area x (output channels if fan_out, else input channels),
    and, where it has a bias, E|b| = bias_scale / sqrt(kernel area x input channels). The classifier has E|w| =
    linear_mean, or scale / sqrt(inputs) where that is 0.
    """

    scale: float
    fan_out: bool
    linear_mean: float = 0.0
    bias_scale: float = 0.0


INITIALISATIONS = {
    # torch.nn.init.kaiming_normal_(mode="fan_out", nonlinearity="relu"), Linear N(0, 0.01), no biases: what the
    # zero-cost proxies of NAS-Bench-101 were published with.
    "kaiming_fan_out": Initialisation(_NORMAL * math.sqrt(2), True, linear_mean=0.01 * _NORMAL),
    # The same with the fan of the inputs, for the classifier too.
    "kaiming_fan_in": Initialisation(_NORMAL * math.sqrt(2), False),
    # What nn.Conv2d and nn.Linear draw by default: uniform within 1 / sqrt(fan in), weights and biases.
    "pytorch": Initialisation(0.5, False, bias_scale=0.5),
}


def initialisation(name: str) -> Initialisation:
    """The initialisation called ``name``; a ValueError lists what there is."""
    if name not in INITIALISATIONS:
        raise unknown("initialisation", str(name), INITIALISATIONS)
    return INITIALISATIONS[name]


def draw_weights(network: nn.Module, name: str, generator: torch.Generator | None) -> None:
    """Draw the weights of every convolution and linear layer in the order of registration.

    The scale of a norm is one and its shift zero.

    Raises:
        ValueError: an unknown initialisation, or a layer whose weights it says nothing about.
    """
    initialisation(name)
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, (*_CONVOLUTIONS, nn.Linear)):
                _draw(layer, name, generator)
            elif isinstance(layer, NORMS):
                for parameter, value in ((layer.weight, 1), (layer.bias, 0)):
                    if parameter is not None:
                        parameter.fill_(value)
            elif layer._parameters:
                kind = type(layer).__name__
                raise ValueError(f"initialisation: expected convolutions, linear layers and norms, got {kind}")


def _draw(layer: nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Linear, name: str, generator: torch.Generator | None) -> None:
    weight, bias = layer.weight, layer.bias
    fan_in = weight.shape[1:].numel()
    if name == "pytorch":
        bound = 1 / math.sqrt(fan_in)
        weight.uniform_(-bound, bound, generator=generator)
        if bias is not None:
            bias.uniform_(-bound, bound, generator=generator)
        return
    fan_out = weight.shape[0] * weight.shape[2:].numel()
    deviation = math.sqrt(2 / (fan_out if name == "kaiming_fan_out" else fan_in))
    if isinstance(layer, nn.Linear) and name == "kaiming_fan_out":
        deviation = 0.01
    weight.normal_(0, deviation, generator=generator)
    if bias is not None:
        bias.zero_()
