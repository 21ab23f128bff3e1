"""depth: nets whose longest path is known."""

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F  # noqa: N812
from torch.utils.checkpoint import checkpoint

from tests.golden.modern_cases import build
from tests.proxies.example_nets import ResNet, Tokens, image_batch, small_cnn
from zcfast.scoring import score


class Branches(nn.Module):
    """Of three layers beside one, in place, and one that does nothing."""

    def __init__(self):
        super().__init__()
        self.long = nn.Sequential(*(nn.Linear(9, 9) for _ in range(3)))
        self.short, self.unused, self.head = nn.Linear(9, 9), nn.Linear(9, 9), nn.Linear(9, 3)

    def forward(self, x):
        y = self.short(x)
        y += self.long(x)
        self.unused(y)
        return self.head(F.relu(y, inplace=True))


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.head = nn.Linear(9, 9), nn.Linear(9, 3)

    def forward(self, x):
        return self.head(self.layer(self.layer(x).relu()))


VECTORS = torch.randn(4, 9).double(), torch.arange(4) % 3
NETS = {
    "chain": (small_cnn, image_batch(), 3),
    "residual, with the longer way of each block": (
        lambda: ResNet((1, 1, 1, 1), width=4, classes=5),
        image_batch(),
        1 + 4 * 3 + 1,
    ),
    "branches": (Branches, VECTORS, 4),
    "called twice": (Twice, VECTORS, 3),
    "attention": (Tokens, (torch.randint(11, (4, 5)), torch.arange(4) % 3), 2 + 2 + 1),
}


@pytest.mark.parametrize("kind", NETS)
def test_depths(kind):
    make, batch, expected = NETS[kind]
    result = score(make().double(), batch, ["depth", "grad_norm"])["depth"]
    assert (result.value, result.status) == (expected, "ok")


@pytest.mark.parametrize(
    ("name", "expected"), [("b_nb201_all3x3", 1 + 3 * 3 + 2 * 2 + 1), ("b_nb201_skiponly", 1 + 4 + 1)]
)
def test_cells_whose_paths_are_counted_by_hand(name, expected):
    net, batch = build(name)
    assert score(net, batch, ["depth"])["depth"].value == expected


def test_long_chains_need_no_recursion():
    net = nn.Sequential(*(nn.Linear(9, 9) for _ in range(3000)), nn.Linear(9, 3)).double()
    assert score(net, VECTORS, ["depth"])["depth"].value == 3001


class Checkpointed(Twice):
    def forward(self, x):
        return self.head(checkpoint(self.layer, x, use_reentrant=self.reentrant))


@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpointed_parts(reentrant):
    net = Checkpointed().double()
    net.reentrant = reentrant
    result = score(net, VECTORS, ["depth"])["depth"]
    if reentrant:
        assert (result.status, "reentrant" in result.reason) == ("refused", True)
    else:
        assert result.value == 2
