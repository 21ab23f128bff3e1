"""Builders of small spaces."""

import torch
from torch import nn

import zcfast


class Calls(nn.Module):
    """A net of its parts and a function of them and the inputs."""

    def __init__(self, forward, **parts):
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)
        self.function = forward

    def forward(self, *inputs):
        return self.function(self, *inputs)


def cnn(trial):
    """A width, a depth, and a kernel for each of as many layers."""
    width = trial.suggest_int("width", 8, 32, step=8)
    layers, channels = [], 3
    for i in range(trial.suggest_int("depth", 1, 3)):
        kernel = trial.suggest_categorical(f"kernel{i}", [1, 3, 5])
        layers += [nn.Conv2d(channels, width, kernel, padding=kernel // 2), nn.ReLU()]
        channels = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))


def perceptron(trial):
    """One choice of each kind; none depends on another."""
    width = trial.suggest_int("width", 4, 64, log=True)
    activation = trial.suggest_categorical("activation", ["relu", "tanh", None])
    dropout = trial.suggest_float("dropout", 0.0, 0.5, step=0.25)
    kinds = {"relu": nn.ReLU, "tanh": nn.Tanh, None: nn.Identity}
    return nn.Sequential(
        nn.Flatten(), nn.Linear(12, width), kinds[activation](), nn.Dropout(dropout), nn.Linear(width, 3)
    )


class TwoInputs(nn.Module):
    """Pictures [N, 3, 8, 8] and measurements [N, 5], three classes."""

    def __init__(self, width):
        super().__init__()
        self.conv, self.side = nn.Conv2d(3, width, 3, padding=1, bias=False), nn.Linear(5, width)
        self.relu, self.head = nn.ReLU(), nn.Linear(2 * width, 3)

    def forward(self, pictures, measured):
        seen = self.relu(self.conv(pictures)).mean((2, 3))
        return self.head(torch.cat([seen, self.relu(self.side(measured))], 1))


def two_inputs(trial):
    return TwoInputs(trial.suggest_categorical("width", [4, 8]))


def pictures_and_numbers():
    generator = torch.Generator().manual_seed(0)
    pictures, measured = (torch.randn(4, *shape, generator=generator) for shape in ((3, 8, 8), (5,)))
    return pictures, measured, torch.arange(4) % 3


def two_inputs_space():
    pictures, measured, targets = pictures_and_numbers()
    return zcfast.Space(two_inputs, example=({"pictures": pictures, "measured": measured}, targets))
