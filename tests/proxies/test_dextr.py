"""dextr: the official code's values, a plain computation, and where it has none."""

import copy
import math

import pytest
import torch
import torch.nn as nn
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.golden.draws import inject
from tests.golden.modern_cases import build, values
from tests.proxies.example_nets import Tokens, image_batch, small_cnn
from tests.proxies.official_nesting import nested
from zcfast.passes import Curve, Draws
from zcfast.proxies import Proxy, dextr
from zcfast.scoring import score


class Curvature(Proxy):
    name, source, sums_layers = "curvature", "", False
    needs = (Curve,)

    def value(self, results):
        return results[Curve][0].curvature


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("name", [name for name, _ in values("dextr")])
def test_published_values(name, memory_format, monkeypatch):
    net, (inputs, targets) = build(name)
    inject(monkeypatch, net, noises=2)
    batch = inputs.contiguous(memory_format=memory_format), targets
    found = score(nested(net, name), batch, [dextr(calls="all"), Curvature()])
    assert found["curvature"].value == pytest.approx(dict(values("dextr_curvature"))[name], rel=1e-7)
    assert found["dextr(calls='all')"].value == pytest.approx(dict(values("dextr"))[name], rel=1e-7)


def plainly(net, images, draws):
    """Derivatives by torch.func's Jacobians, singular values of each output."""
    copied, kept = copy.deepcopy(net).double().train(), []
    image = images[draws.round : draws.round + 1]
    handles = [
        module.register_forward_hook(lambda module, args, output: kept.append(output[0].detach()))
        for module in copied.modules()
        if not list(module.children())
    ]
    copied(image)
    for handle in handles:
        handle.remove()
    spread = 0.0
    for output in kept:
        ratios = torch.linalg.svdvals(output.flatten(1) if output.dim() > 1 else output[:, None])
        spread += (ratios[-1] / ratios[0]).item() if ratios[0] else 0
    u, v = (draws.normal("noise", name, image.shape).double() for name in "01")
    u /= u.norm()
    v -= (u * v).sum() * u
    v /= v.norm()

    def turned(angle):
        return copied(torch.cos(angle) * u + torch.sin(angle) * v)[0]

    zero = torch.zeros((), dtype=torch.float64)
    velocity = torch.autograd.functional.jacobian(turned, zero, create_graph=True)
    acceleration = torch.autograd.functional.jacobian(
        lambda angle: torch.autograd.functional.jacobian(turned, angle, create_graph=True), zero
    )
    chosen = torch.arange(10) % len(velocity)
    if len(velocity) >= 10:
        chosen = draws.choice("logits", "0", len(velocity), 10)
    v, a = velocity[chosen].detach(), acceleration[chosen]
    curvature = math.sqrt((v @ v) * (a @ a) - (v @ a) ** 2) / (v @ v) ** 1.5
    a, b = math.log(1 + spread), math.log(1 + float(curvature))
    return a * b / (a + b)


@settings(max_examples=10, deadline=None)
@given(width=st.integers(1, 5), classes=st.integers(2, 12), seed=st.integers(0, 99))
def test_against_a_plain_computation(width, classes, seed):
    torch.manual_seed(seed)
    net = nn.Sequential(
        *(nn.Conv2d(3, width, 3), nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, 4, 3), nn.Tanh()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, classes)),
    ).double()
    batch = image_batch(3, classes=classes)
    result = score(net, batch, [dextr(repeats=2)], seed=seed)["dextr(repeats=2)"]
    rounds = [plainly(net, batch[0], Draws(seed, "dextr", each)) for each in range(2)]
    assert result.value == pytest.approx(sum(rounds) / 2, rel=1e-7)
    assert result.standard_error == pytest.approx(abs(rounds[0] - rounds[1]) / 2, rel=1e-5, abs=1e-9)


def test_float32_is_near():
    torch.manual_seed(0)
    net, (inputs, targets) = small_cnn(), image_batch(3)
    exact = score(copy.deepcopy(net).double(), (inputs, targets), ["dextr"])["dextr"].value
    assert score(net, (inputs.float(), targets), ["dextr"])["dextr"].value == pytest.approx(exact, rel=1e-3)


class Dead(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(192, 5)

    def forward(self, x):
        return self.layer(x.flatten(1) * 0)


TOKENS = torch.randint(11, (3, 5)), torch.arange(3)
NONE = {
    "tokens": (Tokens, TOKENS, "one real input"),
    "a dead net": (Dead, image_batch(3), "no logit moves"),
}


@pytest.mark.parametrize("kind", NONE)
def test_nets_without_a_value(kind):
    make, batch, reason = NONE[kind]
    result = score(make().double(), batch, ["dextr", "params"])
    assert (result["dextr"].status, reason in result["dextr"].reason) == ("undefined", True), result["dextr"].reason
    assert result["params"].status == "ok"


def test_a_linear_net_bends_nothing_but_the_circle():
    """f(t) = A cos t + B sin t has velocity B and acceleration -A."""
    torch.manual_seed(0)
    net, batch = nn.Sequential(nn.Flatten(), nn.Linear(192, 5)).double(), image_batch(3)
    result = score(net, batch, ["dextr"])["dextr"]
    assert result.value == pytest.approx(plainly(net, batch[0], Draws(0, "dextr", 0)), rel=1e-9)


def test_the_option():
    with pytest.raises(ValueError, match="calls: expected 'leaf' or 'all'"):
        dextr(calls="some")
