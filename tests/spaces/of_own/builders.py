"""Builders of small spaces."""

from torch import nn


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
