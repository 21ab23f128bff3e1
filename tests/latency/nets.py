"""A space of a user's own whose networks take different times."""

import torch
from torch import nn

import zcfast


def build(trial):
    width = trial.suggest_int("width", 8, 64, step=8)
    kernels = [trial.suggest_categorical(f"kernel{i}", [1, 3, 5]) for i in range(3)]
    layers, channels = [], 3
    for kernel in kernels:
        layers += [nn.Conv2d(channels, width, kernel, padding=kernel // 2), nn.BatchNorm2d(width), nn.ReLU()]
        channels = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(), nn.Linear(width, 10))


def own(size=16):
    return zcfast.Space(build, example=(torch.randn(2, 3, size, size), torch.zeros(2, dtype=torch.int64)))
