"""Layers that draw their weights as BERT does: normal ones of deviation 0.02, biases of 0."""

from __future__ import annotations

import torch
from torch import nn

DEVIATION = 0.02


class Linear(nn.Linear):
    """nn.Linear, its weights drawn once."""

    def reset_parameters(self) -> None:
        """Draw."""
        _draw(self)


class Convolution(nn.Conv1d):
    """nn.Conv1d, its weights drawn once."""

    def reset_parameters(self) -> None:
        """Draw."""
        _draw(self)


class Embedding(nn.Embedding):
    """nn.Embedding, its weights drawn once; that of a padding token is 0."""

    def reset_parameters(self) -> None:
        """Draw."""
        nn.init.normal_(self.weight, 0.0, DEVIATION)
        if self.padding_idx is not None:
            with torch.no_grad():
                self.weight[self.padding_idx].zero_()


def _draw(layer: nn.Linear | nn.Conv1d) -> None:
    nn.init.normal_(layer.weight, 0.0, DEVIATION)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
