"""Nets that draw from Python's or numpy's generator: every pass draws the same, and the caller's state stays."""

import random

import numpy as np
import pytest
import torch
import torch.nn as nn

from tests.proxies.example_nets import ANY_NET
from zcfast.scoring import score

BATCH = torch.randn(6, 12, generator=torch.Generator().manual_seed(1)).double(), torch.arange(6) % 3
DRAWS = {"python": random.random, "numpy": np.random.rand}


class Dropped(nn.Module):
    """Stochastic depth; records which layers ran in each pass."""

    def __init__(self, draw, record):
        super().__init__()
        self.layers, self.head = nn.ModuleList(nn.Linear(12, 12) for _ in range(8)), nn.Linear(12, 3)
        self.draw, self.record = draw, record
        self.double()

    def forward(self, x):
        chosen = [index for index in range(8) if self.draw() < 0.5]
        for index in chosen:
            x = torch.tanh(self.layers[index](x))
        self.record(tuple(chosen))
        return self.head(x)


def states():
    return random.getstate(), [
        part.tolist() if isinstance(part, np.ndarray) else part for part in np.random.get_state()
    ]


@pytest.mark.parametrize("which", DRAWS)
def test_global_generators(which):
    torch.manual_seed(0)
    passes = []
    net = Dropped(DRAWS[which], passes.append)
    before = states()
    result = score(net, BATCH, ANY_NET)
    assert states() == before
    assert {s.status for s in result.values()} == {"ok"}
    assert len(passes) > 3
    assert len(set(passes)) == 1


def test_a_generator_of_the_nets_own():
    generator = torch.Generator().manual_seed(4)
    passes = []
    net = Dropped(lambda: torch.rand((), generator=generator).item(), passes.append)
    net.generator = generator
    before = generator.get_state()
    result = score(net, BATCH, ANY_NET)
    assert {s.status for s in result.values()} == {"ok"}
    assert torch.equal(generator.get_state(), before)
    assert len(set(passes)) == 1


def test_a_loss_that_draws():
    drawn = []

    def loss(logits, targets):
        drawn.append(torch.rand(()).item())
        return nn.functional.cross_entropy(nn.functional.dropout(logits), targets)

    net = nn.Sequential(nn.Linear(12, 4), nn.Tanh(), nn.Linear(4, 3)).double()
    assert score(net, BATCH, ["grasp"], loss_fn=loss)["grasp"].status == "ok"
    assert len(drawn) > 1
    assert len(set(drawn)) == 1
