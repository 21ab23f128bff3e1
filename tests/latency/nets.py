"""A space of a user's own whose networks take different times."""

import time

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


class Sleeps(nn.Module):
    def __init__(self, milliseconds):
        super().__init__()
        self.milliseconds, self.layer = milliseconds, nn.Linear(3, 8 * milliseconds)

    def forward(self, x):
        if not x.is_meta and len(x):
            time.sleep(self.milliseconds / 1000)
        return self.layer(x)


def sleeping(trial):
    return Sleeps(trial.suggest_int("milliseconds", 5, 40, step=5))


sleepers = zcfast.Space(sleeping, example=(torch.ones(2, 3), torch.zeros(2, dtype=torch.int64)))
