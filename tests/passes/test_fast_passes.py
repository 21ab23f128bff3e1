"""Passes that run images with their channels innermost, on nets that take no such images."""

import copy

import pytest
import torch
import torch.nn as nn

from tests.proxies.example_nets import CONVOLUTIONAL, image_batch
from zcfast.proxies import az_expressivity, swap, zen
from zcfast.scoring import score

ALL = [swap(repeats=2), zen(), "zico", az_expressivity(repeats=1), "gradsign"]


class Viewed(nn.Module):
    """Views an image whole, which only the contiguous format allows; counts how often a pass ran."""

    def __init__(self):
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.second, self.head = nn.Conv2d(8, 8, 3, padding=1), nn.Linear(512, 5)

    def forward(self, x):
        x = torch.relu(self.norm(self.first(x)))
        x = torch.relu(self.second(x))
        return self.head(x.view(len(x), -1))


def scores(net, batch, proxies):
    return {name: (each.value, each.status) for name, each in score(net, batch, proxies).items()}


@pytest.mark.parametrize("proxies", [[each] for each in ALL] + [ALL, ["snip", *ALL]])
def test_nets_that_view_images(proxies):
    torch.manual_seed(0)
    net, (images, targets) = Viewed(), image_batch(12)
    exact = scores(copy.deepcopy(net).double(), (images, targets), proxies)
    found = scores(net, (images.float(), targets), proxies)
    for name, (value, status) in exact.items():
        assert (found[name][1], status) == ("ok", "ok"), name
        assert found[name][0] == pytest.approx(value, rel=5e-3), name


@pytest.mark.parametrize("kind", CONVOLUTIONAL)
@pytest.mark.parametrize("samples", [7, 8, 9])
def test_both_sides_of_where_it_pays(kind, samples):
    torch.manual_seed(0)
    net, (images, targets) = CONVOLUTIONAL[kind](), image_batch(samples)
    exact = scores(copy.deepcopy(net).double(), (images, targets), [swap(repeats=1), zen()])
    found = scores(net, (images.float(), targets), [swap(repeats=1), zen()])
    for name, (value, _) in exact.items():
        assert found[name][0] == pytest.approx(value, rel=5e-3), name


def test_what_the_net_raises_is_its_own():
    class Raises(Viewed):
        def forward(self, x):
            super().forward(x.contiguous())
            raise RuntimeError("no such thing")

    for proxy in ("zen", "zico"):
        result = score(Raises(), (image_batch(12)[0].float(), image_batch(12)[1]), [proxy])[proxy]
        assert (result.status, "no such thing" in result.reason) == ("failed", True)
