"""gradsign: the official code's values, an independent computation, and where it has none."""

import copy

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
    weights = [c.weight for c in net.modules() if isinstance(c, (nn.Conv2d, nn.Linear))]
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
