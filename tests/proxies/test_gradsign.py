"""gradsign: the official code's values, an independent computation, and where it has none."""

import copy
import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tests.golden.modern_cases import build, values
from tests.proxies.example_nets import image_batch, small_cnn
from zcfast.scoring import score


@pytest.mark.parametrize(("name", "expected"), values("gradsign"))
def test_published_values(name, expected):
    net, batch = build(name)
    assert score(net, batch, ["gradsign"])["gradsign"].value == expected


def plainly(net, inputs, targets):
    net = copy.deepcopy(net).double().train()
    weights = [c.weight for c in net.modules() if isinstance(c, (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear))]
    total = [torch.zeros_like(w) for w in weights]
    for x, y in zip(inputs.double(), targets, strict=True):
        found = torch.autograd.grad(F.cross_entropy(net(x[None]), y[None]), weights)
        total = [t + g.sign() for t, g in zip(total, found, strict=True)]
    return sum(t.abs().sum().item() for t in total)


class Wide(nn.Sequential):
    """Maps of more than one place, which BatchNorm of one sample needs."""

    def __init__(self, inplace=False):
        parts = [nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace), nn.Conv2d(4, 5, 3, groups=1)]
        super().__init__(*parts, nn.BatchNorm2d(5), nn.ReLU(inplace), nn.AvgPool2d(4), nn.Flatten(), nn.Linear(5, 5))


# A weight whose gradient is nearly zero may change its sign in float32.
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 0), (torch.float32, 5e-3)])
@pytest.mark.parametrize("kind", [Wide, lambda: Wide(True), lambda: small_cnn(batchnorm=False)])
def test_against_a_plain_computation(kind, dtype, tolerance, memory_format):
    torch.manual_seed(2)
    net, (inputs, targets) = kind(), image_batch(7)
    expected = plainly(net, inputs, targets)
    batch = inputs.to(dtype).contiguous(memory_format=memory_format), targets
    result = score(net.to(dtype), batch, ["grasp", "gradsign", "snip"], per_layer=True)["gradsign"]
    assert result.value == pytest.approx(expected, rel=tolerance)
    assert result.per_layer.sum().item() == result.value


@settings(max_examples=20, deadline=None)
@given(samples=st.integers(1, 6), width=st.integers(1, 5), side=st.integers(3, 6), seed=st.integers(0, 99))
def test_any_shape(samples, width, side, seed):
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Conv2d(3, width, 3), nn.Tanh(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 3))
    batch = torch.randn(samples, 3, side, side).double(), torch.randint(3, (samples,))
    assert score(net.double(), batch, ["gradsign"])["gradsign"].value == plainly(net, *batch)


def test_batchnorm_of_one_place_takes_no_single_sample():
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 4), nn.BatchNorm1d(4), nn.Linear(4, 5)).double()
    result = score(net, image_batch(), ["gradsign", "snip"])
    assert (result["gradsign"].status, "more than 1 value" in result["gradsign"].reason) == ("failed", True)
    assert result["snip"].status == "ok"


class Steps(nn.Module):
    """A convolution, some function of its maps, and a head."""

    def __init__(self, middle, conv=None):
        super().__init__()
        self.conv, self.middle, self.head = conv or nn.Conv2d(3, 4, 3), middle, nn.Linear(4, 5)
        self.norm, self.drop = nn.BatchNorm2d(4), nn.Dropout(0.5)

    def forward(self, x):
        return self.head(self.middle(self, self.conv(x)).flatten(2).mean(2))


class Attended(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.attention = nn.Linear(3, 4), nn.MultiheadAttention(4, 2, batch_first=True)
        self.norm, self.head = nn.LayerNorm(4), nn.Linear(4, 5)

    def forward(self, x):
        x = self.norm(self.first(x.flatten(2).transpose(1, 2)))
        return self.head((x + self.attention(x, x, x)[0]).mean(1))


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.more, self.head = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 1), nn.Linear(3, 5)

    def forward(self, x):
        return self.head(self.more(torch.sigmoid(self.conv(torch.tanh(self.conv(x))))).mean((2, 3)))


def flat(places):
    """Convolutions of as many dimensions."""
    kind, norm = getattr(nn, f"Conv{places}d"), getattr(nn, f"BatchNorm{places}d")
    parts = [nn.Flatten(2)] if places == 1 else [nn.Unflatten(3, (4, 2))] if places == 3 else []
    parts += [kind(3, 6, 3, stride=2, padding=2, dilation=2), norm(6), nn.ReLU(True), kind(6, 4, 1, groups=2)]
    return nn.Sequential(*parts, norm(4, affine=False), nn.GELU(), nn.Flatten(2), Mean(), nn.Linear(4, 5))


class Mean(nn.Module):
    def forward(self, x):
        return x.mean(2)


NETS = {
    "BatchNorm": lambda: Steps(lambda net, y: F.relu(net.norm(y))),
    **{f"{places} dimensions": lambda places=places: flat(places) for places in (1, 2, 3)},
    "a layer that no parameter comes before": lambda: Steps(lambda net, y: y),
    "constants": lambda: Steps(lambda net, y: y + net.norm(torch.zeros_like(y)) * 0),
    "in place": lambda: Steps(lambda net, y: F.relu_(y)),
    "samples that see each other": lambda: Steps(lambda net, y: y.sigmoid() - 0.5 * y.sigmoid().mean(0)),
    "samples that see each other in the middle": lambda: Steps(
        lambda net, y: torch.cat([y[:1], y[1:-1] - y[1:-1].mean(0) / 2, y[1:][-1:]]).sigmoid()
    ),
    "a branch": lambda: Steps(lambda net, y: y.relu() if y.mean() > 0 else y.tanh()),
    "a number": lambda: Steps(lambda net, y: y.sigmoid() * y.sum().item()),
    "called twice": Twice,
    "attention's own projection": Attended,
    "the weight elsewhere": lambda: Steps(lambda net, y: y.relu() * net.conv.weight.mean()),
    "same padding": lambda: Steps(lambda net, y: y.relu(), nn.Conv2d(3, 4, 3, padding="same")),
}


@pytest.mark.parametrize("kind", NETS)
def test_each_sample_is_alone(kind):
    torch.manual_seed(0)
    net, (inputs, targets) = NETS[kind]().double(), image_batch(6)
    expected = plainly(net, inputs, targets)
    before = {name: each.clone() for name, each in net.state_dict().items()}
    result = score(net, (inputs, targets), ["gradsign", "snip"])["gradsign"]
    assert (result.value, result.reason) == (expected, "")
    assert all(torch.equal(each, before[name]) for name, each in net.state_dict().items())


def seeded():
    torch.manual_seed(1)
    random.seed(1)
    np.random.seed(1)  # what nets draw from


def kept(y, generator=None):
    """Drop path, as timm and torchvision write it."""
    return y * y.new_empty(len(y), 1, 1, 1).bernoulli_(0.6, generator=generator).div_(0.6)


DRAWING = {
    "dropout": lambda net, y: net.drop(y.sigmoid()),
    "drop path": lambda net, y: kept(y.sigmoid()),
    "torch's generator of one's own": lambda net, y: kept(y.sigmoid(), torch.Generator().manual_seed(5)),
    "a random leaky slope": lambda net, y: F.rrelu(y, 0.1, 0.9, training=True),
    "numpy": lambda net, y: y.sigmoid() * torch.from_numpy(np.random.rand(len(y), 1, 1, 1)),
    "Python": lambda net, y: y.sigmoid() * y.new_tensor([random.random() for _ in y])[:, None, None, None],
}


@pytest.mark.parametrize("kind", DRAWING)
def test_each_sample_draws_as_if_alone(kind):
    torch.manual_seed(0)
    net = Steps(DRAWING[kind]).double()
    seeded()
    copied = copy.deepcopy(net)
    batch = image_batch(6)
    total = [torch.zeros_like(w) for w in (copied.conv.weight, copied.head.weight)]
    for x, y in zip(*batch, strict=True):
        seeded()
        found = torch.autograd.grad(F.cross_entropy(copied(x[None]), y[None]), [copied.conv.weight, copied.head.weight])
        total = [t + g.sign() for t, g in zip(total, found, strict=True)]
    seeded()
    assert score(net, batch, ["gradsign"])["gradsign"].value == sum(t.abs().sum().item() for t in total)


def test_a_net_that_takes_one_sample_alone():
    def middle(net, y):
        return y.sigmoid() * {1: 1.0}[len(y)]

    net, batch = Steps(middle).double(), image_batch(6)
    assert score(net, batch, ["gradsign"])["gradsign"].value == plainly(net, *batch)


def test_losses_and_modes_of_ones_own():
    torch.manual_seed(0)
    net, (inputs, targets) = Wide().double(), image_batch(6)

    def loss(logits, wanted):
        return ((logits - wanted[:, None]) ** 2).mean()

    total = [torch.zeros_like(w) for w in (net[0].weight, net[3].weight, net[8].weight)]
    net.eval()
    for x, y in zip(inputs, targets, strict=True):
        found = torch.autograd.grad(loss(net(x[None]), y[None]), [net[0].weight, net[3].weight, net[8].weight])
        total = [t + g.sign() for t, g in zip(total, found, strict=True)]
    result = score(net, (inputs, targets), ["gradsign"], loss_fn=loss, train=False)["gradsign"]
    assert result.value == sum(t.abs().sum().item() for t in total)
    targets[3] = -100
    ignored = score(net, (inputs, targets), ["gradsign"])["gradsign"]
    assert (ignored.status, "of a sample that runs alone is -100" in ignored.reason) == ("undefined", True)
