"""Nets, inputs and fill rule of the golden cases. Nothing is random, so that any code can make them again.

Element i (row-major) of parameter p (in the order of registration) is a multiple of sin(k(p, i)) with
k(p, i) = ((i + 1)(i + 1 + 7(p + 1)) 31 + 17(p + 1)) mod 1000003.
"""

import math

import numpy as np
import torch
from torch import nn

INPUT = 1000  # in the place of p


def sines(p, n):
    i = np.arange(n, dtype=np.int64)
    k = ((i + 1) * (i + 1 + 7 * (p + 1)) * 31 + 17 * (p + 1)) % 1_000_003
    return torch.from_numpy(np.sin(k.astype(np.float64)))


def make_input(shape, p=INPUT):
    return math.sqrt(2) * sines(p, math.prod(shape)).reshape(shape)


def make_targets(n, classes):
    return (3 * torch.arange(n) + 1) % classes


@torch.no_grad()
def fill(parameters):
    """Fill pairs of name and tensor, the p-th by p."""
    for p, (name, tensor) in enumerate(parameters):
        values = sines(p, tensor.numel()).reshape(tensor.shape)
        if tensor.dim() >= 2:
            # In this order: synflow with BatchNorm shows the last bit.
            values = values * math.sqrt(2) * math.sqrt(2 / tensor.shape[1:].numel())
        elif name.endswith("weight"):
            values = 1 + 0.1 * values
        else:
            values *= 0.1
        tensor.copy_(values)


class SmallCNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6)
        self.conv2, self.bn2 = nn.Conv2d(6, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8)
        self.fc = nn.Linear(8, 5)

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        x = torch.relu(self.bn2(self.conv2(x)))
        return self.fc(x.mean((2, 3)))


class MLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.l1, self.l2, self.l3 = nn.Linear(48, 20), nn.Linear(20, 15), nn.Linear(15, 5)

    def forward(self, x):
        return self.l3(torch.relu(self.l2(torch.relu(self.l1(x.flatten(1))))))


class Grouped(nn.Module):
    """Depthwise, grouped, dilated, strided convolutions and one with an oblong kernel."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.dw = nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=8, bias=False)
        self.bn = nn.BatchNorm2d(8)
        self.pw = nn.Conv2d(8, 12, 1, bias=False)
        self.gr = nn.Conv2d(12, 12, (1, 3), stride=(2, 1), padding=(0, 1), groups=3)
        self.bn2 = nn.BatchNorm2d(12)
        self.fc = nn.Linear(12, 5, bias=False)

    def forward(self, x):
        x = torch.relu(self.stem(x))
        x = self.pw(torch.relu(self.bn(self.dw(x))))
        x = torch.relu(self.bn2(self.gr(x)))
        return self.fc(nn.functional.adaptive_avg_pool2d(x, 1).flatten(1))


class Tied(nn.Module):
    """Two convolutions that share one parameter."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, padding=1)
        self.c1, self.c2 = (nn.Conv2d(6, 6, 3, padding=1, bias=False) for _ in range(2))
        self.c2.weight = self.c1.weight
        self.bn, self.fc = nn.BatchNorm2d(6), nn.Linear(6, 5)

    def forward(self, x):
        x = torch.relu(self.stem(x))
        x = torch.relu(self.bn(self.c1(x)))
        return self.fc(torch.relu(self.c2(x)).mean((2, 3)))


class SequenceLinear(nn.Module):
    """Linear layers on [B, T, D]."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(6, 9), nn.Linear(9, 5)

    def forward(self, x):
        return self.b(torch.relu(self.a(x))).mean(1)


class Block(nn.Module):
    """A block of a vision transformer, normalised first."""

    def __init__(self, width, heads, hidden):
        super().__init__()
        self.heads = heads
        self.n1, self.qkv, self.proj = nn.LayerNorm(width), nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.n2, self.fc1, self.act = nn.LayerNorm(width), nn.Linear(width, hidden), nn.GELU()
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x):
        samples, tokens, width = x.shape
        q, k, v = self.qkv(self.n1(x)).view(samples, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(-2, -1) / (width // self.heads) ** 0.5).softmax(-1)
        x = x + self.proj((weights @ v).transpose(1, 2).reshape(samples, tokens, width))
        return x + self.fc2(self.act(self.fc1(self.n2(x))))


class TinyViT(nn.Module):
    """Images of 8 x 8 as five tokens of width 12, two blocks."""

    def __init__(self, classes):
        super().__init__()
        self.cls, self.pos = nn.Parameter(torch.zeros(1, 1, 12)), nn.Parameter(torch.zeros(1, 5, 12))
        self.patch = nn.Conv2d(3, 12, 4, 4)
        self.blocks = nn.Sequential(Block(12, 2, 24), Block(12, 2, 24))
        self.norm, self.head = nn.LayerNorm(12), nn.Linear(12, classes)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(len(x), -1, -1), x], 1) + self.pos
        return self.head(self.norm(self.blocks(x))[:, 0])
