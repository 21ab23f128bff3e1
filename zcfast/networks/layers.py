"""Layers whose weights the network draws, so that building one draws each of them once."""

import math

import torch
from torch import nn

from zcfast.expected.initialisation import initialisation as named_initialisation


class Convolution(nn.Conv2d):
    """nn.Conv2d with padding that keeps the size, its weights not yet drawn."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, bias: bool = False) -> None:
        """Leave the weights to ``draw_weights``."""
        super().__init__(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=bias)

    def reset_parameters(self) -> None:
        """Nothing: see ``draw_weights``."""


class Classifier(nn.Linear):
    """nn.Linear with its weights not yet drawn."""

    def reset_parameters(self) -> None:
        """Nothing: see ``draw_weights``."""


def draw_weights(network: nn.Module, initialisation: str, generator: torch.Generator | None) -> None:
    """Draw every convolution and classifier in the order of registration, see zcfast/expected/initialisation.py."""
    named_initialisation(initialisation)
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, Convolution | Classifier):
                _draw(layer, initialisation, generator)


def _draw(layer: Convolution | Classifier, initialisation: str, generator: torch.Generator | None) -> None:
    fan_in = layer.weight[0].numel()
    if initialisation == "pytorch":
        bound = 1 / math.sqrt(fan_in)
        layer.weight.uniform_(-bound, bound, generator=generator)
        if layer.bias is not None:
            layer.bias.uniform_(-bound, bound, generator=generator)
        return
    fan_out = layer.weight.shape[0] * layer.weight[0, 0].numel()
    deviation = math.sqrt(2 / (fan_out if initialisation == "kaiming_fan_out" else fan_in))
    if isinstance(layer, Classifier) and initialisation == "kaiming_fan_out":
        deviation = 0.01
    layer.weight.normal_(0, deviation, generator=generator)
    if layer.bias is not None:
        layer.bias.zero_()
