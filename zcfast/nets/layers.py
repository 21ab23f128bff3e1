"""Layers whose weights the network draws, so that building one draws each of them once."""

import torch
from torch import nn


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
