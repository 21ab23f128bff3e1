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


class BatchNorm(nn.BatchNorm2d):
    """nn.BatchNorm2d, its scale and shift not yet set."""

    def reset_parameters(self) -> None:
        """Nothing: see ``draw_weights``. The running statistics are new, and so at their start."""


class Classifier(nn.Linear):
    """nn.Linear with its weights not yet drawn."""

    def reset_parameters(self) -> None:
        """Nothing: see ``draw_weights``."""


def twin(module: nn.Module) -> nn.Module:
    """The same module with tensors of its own, its weights not yet drawn: many times faster than building it again."""
    result = module.__class__.__new__(module.__class__)
    result.__dict__.update(
        {name: value.copy() if isinstance(value, dict) else value for name, value in module.__dict__.items()}
    )
    for name, parameter in module._parameters.items():
        result._parameters[name] = None if parameter is None else nn.Parameter(torch.empty_like(parameter))
    for name, buffer in module._buffers.items():
        result._buffers[name] = None if buffer is None else buffer.clone()
    for name, child in module._modules.items():
        result._modules[name] = None if child is None else twin(child)
    return result


def draw_weights(network: nn.Module, initialisation: str, generator: torch.Generator | None) -> None:
    """Draw every convolution and classifier in the order of registration, see zcfast/expected/initialisation.py.

    BatchNorm's scale is one and its shift zero.
    """
    named_initialisation(initialisation)
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, Convolution | Classifier):
                _draw(layer, initialisation, generator)
            elif isinstance(layer, BatchNorm):
                layer.weight.fill_(1)
                layer.bias.zero_()


def _draw(layer: Convolution | Classifier, initialisation: str, generator: torch.Generator | None) -> None:
    weight, bias = layer.weight, layer.bias
    fan_in = weight.shape[1:].numel()
    if initialisation == "pytorch":
        bound = 1 / math.sqrt(fan_in)
        weight.uniform_(-bound, bound, generator=generator)
        if bias is not None:
            bias.uniform_(-bound, bound, generator=generator)
        return
    fan_out = weight.shape[0] * weight.shape[2:].numel()
    deviation = math.sqrt(2 / (fan_out if initialisation == "kaiming_fan_out" else fan_in))
    if isinstance(layer, Classifier) and initialisation == "kaiming_fan_out":
        deviation = 0.01
    weight.normal_(0, deviation, generator=generator)
    if bias is not None:
        bias.zero_()
