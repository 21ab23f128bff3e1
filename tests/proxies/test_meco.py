"""meco and meco_opt: the published code's values and a plain computation."""

import math

import pytest
import torch
import torch.nn as nn

from tests.golden.draws import inject
from tests.golden.modern_cases import CASES, build
from tests.proxies.example_nets import ResNet, image_batch, small_cnn
from tests.proxies.official_nesting import nested
from zcfast.passes import Draws
from zcfast.proxies import meco, meco_opt
from zcfast.scoring import score

ONE = {"leaf": meco(repeats=1), "all": meco(repeats=1, calls="all"), "opt": meco_opt(repeats=1, calls="all")}


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("name", [name for name in CASES if "meco" in CASES[name]["results"]])
def test_published_values(name, memory_format, monkeypatch):
    net, (inputs, targets) = build(name)
    inject(monkeypatch, net)
    net = nested(net, name)
    published = CASES[name]["results"]
    found = score(net, (inputs.contiguous(memory_format=memory_format), targets), list(ONE.values()))
    for kind, key in (("leaf", "meco_leaf"), ("all", "meco"), ("opt", "meco_opt")):
        result, expected = found[ONE[kind].label], published.get(key)
        if expected is not None and expected["value"] is None:
            assert (result.status, "8 cannot be drawn" in result.reason) == ("undefined", True)
        elif expected is not None:
            assert result.value == pytest.approx(expected["value"], rel=1e-9)


def plainly(net, image, draws=None):
    """By the definition, one leaf after the other, with numpy's correlations."""
    total, calls = 0.0, 0

    def hook(module, args, output):
        nonlocal total, calls
        rows = output[0].detach().double().reshape(output.shape[1], -1)
        calls += rows.shape[1] > 1
        share = 1.0
        if draws is not None and rows.shape[1] > 1:
            share, rows = len(rows) / 8, rows[draws.choice("channels", str(calls), len(rows), 8)]
        matrix = torch.corrcoef(rows) if rows.shape[1] > 1 else torch.zeros(len(rows), len(rows)).double()
        matrix = torch.where(matrix.isfinite(), matrix, 0.0)
        total += share * torch.linalg.eigvals(matrix.reshape(len(rows), len(rows))).real.min().item()

    handles = [each.register_forward_hook(hook) for each in net.modules() if not list(each.children())]
    net.train()(image)
    for handle in handles:
        handle.remove()
    return total


NETS = {
    "resnet": lambda: ResNet((1, 1, 1, 1), width=8, classes=10),
    "small": lambda: small_cnn(inplace=True),
    "dead channels": lambda: nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Threshold(9.0, 0.0), nn.Flatten(), nn.Linear(288, 10)
    ),
}


@pytest.mark.parametrize("kind", NETS)
@pytest.mark.parametrize("seed", [0, 3])
def test_against_a_plain_computation(kind, seed):
    torch.manual_seed(2)
    net, (inputs, targets) = NETS[kind]().double(), image_batch(6)
    if kind == "resnet":
        inputs = torch.randn(6, 3, 64, 64)
    result = score(net, (inputs.double(), targets), ["meco", "meco_opt", "snip"], seed=seed)
    plain = torch.tensor([plainly(net, inputs[each : each + 1].double()) for each in range(4)], dtype=torch.float64)
    assert result["meco"].value == pytest.approx(plain.mean().item(), rel=1e-9)
    assert result["meco"].standard_error == pytest.approx(plain.double().std().item() / 2, rel=1e-5)
    if kind != "small":
        drawn = [plainly(net, inputs[e : e + 1].double(), Draws(seed, "meco", e)) for e in range(4)]
        assert result["meco_opt"].value == pytest.approx(sum(drawn) / 4, rel=1e-9)


def test_fewer_images_than_rounds():
    net, (inputs, targets) = small_cnn().double(), image_batch(2)
    result = score(net, (inputs, targets), ["meco"])["meco"]
    ones = [score(net, (inputs[e : e + 1], targets[e : e + 1]), [meco(repeats=1)]) for e in range(2)]
    values = [one["meco(repeats=1)"].value for one in ones]
    assert result.value == pytest.approx(sum(values) / 2)
    assert result.standard_error == pytest.approx(abs(values[0] - values[1]) / 2 / math.sqrt(1))


def test_float32_is_near():
    torch.manual_seed(2)
    net, (inputs, targets) = small_cnn(), image_batch(4)
    exact = score(net.double(), (inputs, targets), ["meco"])["meco"].value
    assert score(net.float(), (inputs.float(), targets), ["meco"])["meco"].value == pytest.approx(exact, rel=1e-4)


@pytest.mark.parametrize("name", ["meco", "meco_opt"])
def test_nets_without_maps(name):
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 16), nn.ReLU(), nn.Linear(16, 5)).double()
    result = score(net, image_batch(), [name, "snip"])
    assert (result[name].status, result[name].reason) == ("undefined", "no module puts out maps of channels")
    assert result["snip"].status == "ok"


def test_wrong_options():
    with pytest.raises(ValueError, match="calls: expected 'leaf' or 'all', got 'some'"):
        meco(calls="some")
