"""logsynflow: the official code's values, an independent computation, and where it has none."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tests.golden.draws import inject
from tests.golden.modern_cases import build, values
from tests.proxies.example_nets import CONVOLUTIONAL, image_batch
from zcfast.passes import Draws
from zcfast.proxies import logsynflow
from zcfast.scoring import score


@pytest.mark.parametrize(("name", "expected"), values("logsynflow_freerea"))
def test_published_values(name, expected):
    net, batch = build(name)
    result = score(net, batch, ["logsynflow"], per_layer=True)["logsynflow"]
    assert result.value == pytest.approx(expected, rel=1e-9)
    assert result.per_layer.sum().item() == result.value
    assert score(net, batch, ["synflow", "logsynflow"])["logsynflow"].value == result.value


@pytest.mark.parametrize(("name", "expected"), values("logsynflow_freerea_fanout"))
def test_published_values_of_draws(name, expected, monkeypatch):
    net, batch = build(name)
    inject(monkeypatch, net)
    (result,) = score(net, batch, [logsynflow(init="official", repeats=1)]).values()
    assert result.value == pytest.approx(expected, rel=1e-9)


def test_draws_by_hand_and_tied_weights():
    torch.manual_seed(0)
    net = nn.Sequential(
        *(
            nn.Conv2d(3, 4, 3),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Conv2d(4, 4, 3, padding=1),
            nn.Conv2d(4, 4, 3, padding=1),
        ),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5)),
    ).double()
    net[4].weight = net[3].weight
    before = {name: value.clone() for name, value in net.state_dict().items()}
    (result,) = score(net, image_batch(), [logsynflow(init="official", repeats=2)], seed=3, per_layer=True).values()
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    rounds = []
    for each in range(2):
        draws, drawn = Draws(3, "logsynflow", each), copy.deepcopy(net)
        with torch.no_grad():
            for name, parameter in drawn.named_parameters():
                if parameter.dim() > 1:
                    deviation = (2 / (parameter.shape[0] * parameter.shape[2:].numel())) ** 0.5
                    parameter.copy_(draws.normal("weights", name, parameter.shape)).mul_(deviation)
                else:
                    parameter.fill_(name == "1.weight")
        rounds.append(plainly(drawn, (3, 8, 8)))
    assert result.value == pytest.approx(sum(rounds) / 2, rel=1e-9)
    assert result.standard_error == pytest.approx(abs(rounds[0] - rounds[1]) / 2, rel=1e-6)
    assert result.per_layer is None


def plainly(net, shape):
    net = copy.deepcopy(net).double().train()
    for child in net.modules():
        for name, part in child.named_children():
            if isinstance(part, nn.modules.batchnorm._BatchNorm):
                setattr(child, name, nn.Identity())
    for tensor in [*net.parameters(), *net.buffers()]:
        tensor.data.abs_()
    for child in net.modules():
        if hasattr(child, "inplace"):
            child.inplace = False
    total = 0.0
    weights = [child.weight for child in net.modules() if isinstance(child, (nn.Conv2d, nn.Linear))]
    gradients = torch.autograd.grad(net(torch.ones(1, *shape, dtype=torch.float64)).sum(), weights)
    for weight, gradient in zip(weights, gradients, strict=True):
        total += (weight * torch.log(gradient + 1)).abs().sum().item()
    return total


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", CONVOLUTIONAL)
def test_against_a_plain_computation(kind, dtype, memory_format):
    torch.manual_seed(2)
    net, (inputs, targets) = CONVOLUTIONAL[kind]().to(dtype), image_batch(4, dtype)
    result = score(net, (inputs.contiguous(memory_format=memory_format), targets), ["logsynflow"])["logsynflow"]
    assert result.value == pytest.approx(plainly(net, (3, 8, 8)), rel=1e-11)


@settings(max_examples=25, deadline=None)
@given(
    width=st.integers(1, 5),
    kernel=st.integers(1, 3),
    depth=st.integers(1, 3),
    bias=st.booleans(),
    side=st.integers(6, 9),
)
def test_any_shape(width, kernel, depth, bias, side):
    torch.manual_seed(width + 7 * kernel + 31 * depth)
    convs = [nn.Conv2d(3 if not d else width, width, kernel, padding=1, bias=bias) for d in range(depth)]
    parts = [part for conv in convs for part in (conv, nn.BatchNorm2d(width), nn.ReLU())]
    net = nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 3))
    batch = torch.randn(2, 3, side, side), torch.tensor([0, 2])
    assert score(net, batch, ["logsynflow"])["logsynflow"].value == pytest.approx(
        plainly(net, (3, side, side)), rel=1e-11
    )


def test_derivatives_below_minus_one_have_no_logarithm():
    class Minus(nn.Module):
        def forward(self, x):
            return -9 * x

    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 4), Minus(), nn.Linear(4, 5)).double()
    result = score(net, image_batch(), ["logsynflow", "synflow"])
    assert (result["logsynflow"].status, "-1 or less" in result["logsynflow"].reason) == ("undefined", True)
    assert result["synflow"].status == "ok"


def test_a_dead_network_scores_by_its_classifier():
    class Dead(nn.Module):
        def forward(self, x):
            return 0 * x

    net = nn.Sequential(nn.Conv2d(3, 4, 3), Dead(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5)).double()
    assert score(net, image_batch(), ["logsynflow"])["logsynflow"].value == 0
