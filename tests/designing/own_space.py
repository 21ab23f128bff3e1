"""A space of the user's own with choices that others bring, and with a width that cannot be built."""

import torch
from torch import nn

import zcfast


def build(trial):
    width = trial.suggest_int("width", 4, 64, step=4)
    layers, channels = [], 3
    for i in range(trial.suggest_int("depth", 1, 5)):
        kernel = trial.suggest_categorical(f"kernel{i}", [1, 3, 5])
        bias = trial.suggest_categorical(f"bias{i}", [True, False])
        layers += [nn.Conv2d(channels, width, kernel, padding=kernel // 2, bias=bias), nn.BatchNorm2d(width), nn.ReLU()]
        channels = width
    if width == 8:
        raise RuntimeError("no eight")
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))


def small(trial):
    width = trial.suggest_int("width", 4, 7)
    kernel = trial.suggest_categorical("kernel", [1, 3])
    return nn.Sequential(
        nn.Conv2d(3, width, kernel), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 4)
    )


def uncounted(trial):
    width = int(4 + 60 * trial.suggest_float("share", 0, 1))
    return nn.Sequential(nn.Flatten(), nn.Linear(192, width), nn.ReLU(), nn.Linear(width, 10))


EXAMPLE = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 3])
space = zcfast.Space(build, EXAMPLE)
