"""The parts of AZ-NAS: the published code's values, plain computations, and which blocks a net has."""

import math
from itertools import pairwise

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F  # noqa: N812
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.golden import benchmark_nets
from tests.golden.draws import inject
from tests.golden.modern_cases import CASES, build
from tests.proxies.example_nets import ResNet, image_batch
from zcfast.passes import Draws
from zcfast.proxies import az_expressivity, az_progressivity, az_trainability
from zcfast.scoring import score

PARTS = ("az_expressivity", "az_progressivity", "az_trainability")
ONE = [each(repeats=1) for each in (az_expressivity, az_progressivity, az_trainability)]
AS_IS = [each(repeats=1, init="as_is") for each in (az_expressivity, az_progressivity, az_trainability)]


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("name", [name for name in CASES if "az_nas" in CASES[name]["results"]])
def test_published_values(name, memory_format, monkeypatch):
    net, (inputs, targets) = build(name)
    inject(monkeypatch, net)
    found = score(net, (inputs.contiguous(memory_format=memory_format), targets), ONE)
    published = CASES[name]["results"]["az_nas"]["value"]
    for part, one in zip(PARTS, ONE, strict=True):
        assert found[one.label].value == pytest.approx(float(published[part.removeprefix("az_")]), rel=1e-9, abs=1e-12)


def entropy(maps):
    rows = maps.double().transpose(0, 1).flatten(1)
    values = torch.linalg.eigvalsh(torch.cov(rows, correction=0).reshape(len(rows), len(rows)))
    shares = values / values.sum()
    return -(shares * (shares + 1e-8).log()).sum().item()


def singular_value(block, maps, signs):
    """By the whole Jacobian-vector product, position by position."""
    leaf = maps.detach().clone().requires_grad_()
    output = block(leaf)
    (gradient,) = torch.autograd.grad(output, leaf, signs)
    t = leaf.shape[2] // output.shape[2]
    total = torch.zeros(leaf.shape[1] * t * t, output.shape[1], dtype=torch.float64)
    for n in range(output.shape[0]):
        for y in range(output.shape[2]):
            for x in range(output.shape[3]):
                part = gradient[n, :, y * t : y * t + t, x * t : x * t + t].reshape(-1)
                total += torch.outer(part, signs[n, :, y, x])
    return torch.linalg.svdvals(total / signs[:, 0].numel())[0].item()


class Blocks(nn.Module):
    """Three blocks of each a part of its own."""

    def __init__(self, widths, strides):
        super().__init__()
        pairs = zip(widths, widths[1:], strides, strict=False)
        self.stem = nn.Conv2d(3, widths[0], 3, padding=1)
        self.body = nn.ModuleList(
            nn.ModuleDict({"block": benchmark_nets.ReLUConvBN(a, b, 3, s, affine=True)}) for a, b, s in pairs
        )
        self.head = nn.Linear(widths[-1], 5)

    def forward(self, x):
        x = self.stem(x)
        for each in self.body:
            x = each["block"](x)
        return self.head(F.relu(x).mean((2, 3)))


def plainly(net, inputs, draws):
    """Entropies and singular values of a net of `Blocks`."""
    modules = [net.stem, *(each["block"] for each in net.body)]
    maps = [modules[0](inputs)]
    for module in modules[1:]:
        maps.append(module(maps[-1]))
    values = []
    for k in range(len(modules) - 1, 0, -1):
        signs = draws.signs("signs", str(len(modules) - 1 - k), maps[k].shape).double()
        values.append(singular_value(modules[k], maps[k - 1], signs))
    return [entropy(each.detach()) for each in maps], values


@settings(max_examples=12, deadline=None)
@given(
    widths=st.lists(st.integers(1, 9), min_size=2, max_size=4),
    strides=st.lists(st.sampled_from([1, 2]), min_size=3, max_size=3),
    samples=st.integers(2, 5),
    seed=st.integers(0, 99),
)
def test_against_a_plain_computation(widths, strides, samples, seed):
    torch.manual_seed(seed)
    net, batch = Blocks(widths, strides).double(), image_batch(samples)
    found = score(net, batch, AS_IS, seed=seed)
    entropies, values = plainly(net.train(), batch[0], Draws(seed, "az_nas", 0))
    steps = [b - a for a, b in pairwise(entropies)]
    expected = sum(entropies), min(steps), sum(2 - s - 1 / (s + 1e-6) for s in values) / len(values)
    for one, value in zip(AS_IS, expected, strict=True):
        assert found[one.label].value == pytest.approx(value, rel=1e-8, abs=1e-9)


def test_rounds_with_drawn_weights():
    torch.manual_seed(1)
    net, batch = Blocks([4, 6, 6], [2, 1]).double(), image_batch(5)
    result = score(net, batch, ["az_expressivity", "snip"], seed=2)["az_expressivity"]
    sums = []
    for each in range(3):
        draws = Draws(2, "az_nas", each)
        with torch.no_grad():
            for name, parameter in net.named_parameters():
                if parameter.dim() > 1:
                    deviation = math.sqrt(2 / parameter.shape[1:].numel())
                    parameter.copy_(draws.normal("weights", name, parameter.shape)).mul_(deviation)
                else:
                    parameter.fill_(name.endswith("op.2.weight"))
        sums.append(sum(plainly(net, draws.normal("noise", "0", batch[0].shape).double(), draws)[0]))
    assert result.value == pytest.approx(sum(sums) / 3, rel=1e-9)
    assert result.standard_error == pytest.approx(torch.tensor(sums).std().item() / math.sqrt(3), rel=1e-4)


def test_residual_nets_in_place_have_their_blocks():
    """The stem up to its ReLU, without the pool, and each of the four residual blocks."""
    torch.manual_seed(1)
    net, batch = ResNet((1, 2, 1, 1), width=4, classes=5), image_batch(4, torch.float32)
    images = torch.randn(4, 3, 32, 32)
    seen = []
    for name, module in net.named_modules():
        if name == "relu" or (name.startswith("blocks.") and name.count(".") == 1):
            module.register_forward_hook(lambda m, a, output: seen.append(entropy(output.detach())))
    net.double().train()(images.double())
    expected, seen[:] = sum(seen), []
    found = score(net, (images.double(), batch[1]), AS_IS)
    assert [each.status for each in found.values()] == ["ok"] * 3
    assert found[AS_IS[0].label].value == pytest.approx(expected, rel=1e-9)


def test_one_module_that_holds_all_is_opened():
    torch.manual_seed(1)
    net, batch = Blocks([4, 6, 6], [2, 1]).double(), image_batch(5)

    class Features(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.body = net.stem, net.body

        def forward(self, x):
            x = self.stem(x)
            for each in self.body:
                x = each["block"](x)
            return x

    wrapped = nn.Sequential(Features(), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), net.head)
    one, other = (score(each, batch, AS_IS) for each in (net, wrapped))
    for proxy in AS_IS:
        assert other[proxy.label].value == pytest.approx(one[proxy.label].value, rel=1e-12)


NONE = {
    "layers": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(192, 5)), 6, "fewer than two blocks"),
    "one sample": (lambda: Blocks([4, 6], [1]), 1, "one sample"),
    "odd sizes": (
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.Flatten(), nn.Linear(64, 5)),
        6,
        "not to a whole part",
    ),
}


@pytest.mark.parametrize("kind", NONE)
def test_nets_without_a_value(kind):
    build_net, samples, reason = NONE[kind]
    result = score(build_net().double(), image_batch(samples), ["az_trainability", "snip"])
    assert (result["az_trainability"].status, reason in result["az_trainability"].reason) == ("undefined", True)
    assert result["snip"].status == "ok"


def test_dead_blocks_pass_no_gradient():
    net = Blocks([4, 4, 4], [1, 1]).double()
    with torch.no_grad():
        net.body[1]["block"].op[2].weight.zero_()
    value = score(net, image_batch(4), AS_IS)[AS_IS[2].label].value
    assert value < -4e5
