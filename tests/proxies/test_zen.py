"""zen: the published code's values and a plain computation."""

import math

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F  # noqa: N812

from tests.golden.draws import inject
from tests.golden.modern_cases import CASES, build
from tests.proxies.example_nets import image_batch, small_cnn
from zcfast.passes import Draws
from zcfast.proxies import zen
from zcfast.scoring import score


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("name", [name for name in CASES if "zen_naslib_repeat1" in CASES[name]["results"]])
def test_published_values(name, memory_format, monkeypatch):
    net, (inputs, targets) = build(name)
    inject(monkeypatch, net, noises=2)
    found = score(net, (inputs.contiguous(memory_format=memory_format), targets), [zen(), zen(repeats=2)])
    published = CASES[name]["results"]
    assert found["zen"].value == pytest.approx(published["zen_naslib_repeat1"]["value"], rel=1e-9)
    assert found["zen(repeats=2)"].value == pytest.approx(published["zen_naslib_repeat2"]["value"], rel=1e-9)


class Net(nn.Module):
    """A functional last activation, a norm that never runs, one with another momentum."""

    def __init__(self, widths=(4, 6), momentum=0.3):
        super().__init__()
        first, second = widths
        self.conv1, self.bn1 = nn.Conv2d(3, first, 3, bias=False), nn.BatchNorm2d(first)
        self.conv2 = nn.Conv2d(first, second, 3, stride=2)
        self.bn2 = nn.BatchNorm2d(second, momentum=momentum, track_running_stats=False)
        self.unused, self.fc = nn.BatchNorm2d(5), nn.Linear(second, 5)

    def maps(self, x):
        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))

    def forward(self, x):
        return self.fc(F.adaptive_avg_pool2d(self.maps(x), 1).flatten(1))


def plainly(net, shape, seed, repeats):
    """By the definition, with variances kept by hand."""
    values, kept = [], {}
    inputs = {}
    for norm in (net.bn1, net.bn2):
        norm.register_forward_pre_hook(lambda module, args: inputs.setdefault(module, []).append(args[0]))
    for each in range(repeats):
        draws = Draws(seed, "zen", each)
        with torch.no_grad():
            for name, parameter in net.named_parameters():
                if name.startswith(("conv", "fc")) and name.endswith("weight"):
                    parameter.copy_(draws.normal("weights", name, parameter.shape))
                else:
                    parameter.fill_(name.endswith("weight"))
            x, e = (draws.normal("noise", name, shape).double() for name in "01")
            inputs.clear()
            difference = (net.maps(x) - net.maps(x + 0.01 * e)).abs().sum() / shape[0]
        total = difference.log().item()
        for norm, (one, other) in inputs.items():
            for seen in (one, other):
                m, before = norm.momentum, kept.get(norm, 1.0)
                kept[norm] = (1 - m) * before + m * seen.transpose(0, 1).flatten(1).var(1, unbiased=True)
            total += math.log(kept[norm].mean()) / 2
        values.append(total)
    return sum(values) / repeats


@pytest.mark.parametrize("widths", [(1, 1), (4, 6), (9, 3)])
@pytest.mark.parametrize("repeats", [1, 3])
def test_against_a_plain_computation(widths, repeats):
    torch.manual_seed(1)
    net, batch = Net(widths).double(), image_batch(5)
    result = score(net, batch, [zen(repeats=repeats), "snip"], seed=3)[zen(repeats=repeats).label]
    assert result.value == pytest.approx(plainly(net.train(), batch[0].shape, 3, repeats), rel=1e-10)


def test_running_statistics_of_the_net_do_not_matter():
    torch.manual_seed(1)
    net, batch = small_cnn().double(), image_batch(5)
    one = score(net, batch, ["zen"])["zen"].value
    net(batch[0] * 7)
    assert score(net, batch, ["zen"])["zen"].value == one


def test_dtype_changes_no_draw():
    torch.manual_seed(1)
    net, (inputs, targets) = small_cnn(), image_batch(5)
    exact = score(net.double(), (inputs, targets), ["zen"])["zen"].value
    assert score(net.float(), (inputs.float(), targets), ["zen"])["zen"].value == pytest.approx(exact, rel=1e-4)


def test_nets_without_maps():
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 16), nn.ReLU(), nn.Linear(16, 5)).double()
    inputs, targets = image_batch()
    result = score(net, (inputs.flatten(1), targets), ["zen"])["zen"]
    assert (result.status, result.reason) == ("undefined", "the net makes no maps [N, C, H, W]")


class Scaled(nn.Module):
    def forward(self, x):
        return (x - 0.5) * 2


@pytest.mark.parametrize("init", ["official", "as_is"])
@pytest.mark.parametrize("before", [nn.Identity, nn.Dropout, Scaled])
def test_maps_that_are_the_input_are_none_of_the_net(before, init):
    net = nn.Sequential(before(), nn.Flatten(), nn.Linear(192, 16), nn.ReLU(), nn.Linear(16, 5)).double()
    result = score(net, image_batch(), [zen(init=init)])[zen(init=init).label]
    assert (result.status, result.reason) == ("undefined", "the net makes no maps [N, C, H, W]")


def test_a_dead_net_is_infinitely_low():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Threshold(1e9, 0.0), nn.Flatten(), nn.Linear(144, 5)).double()
    result = score(net, image_batch(), ["zen"])["zen"]
    assert (result.value, result.status) == (-math.inf, "ok")


def test_running_statistics_that_are_used_are_refused():
    net = small_cnn().double().eval()
    result = score(net, image_batch(), ["zen", "snip"], train=False)
    assert (result["zen"].status, "running statistics" in result["zen"].reason) == ("undefined", True)
    assert result["snip"].status == "ok"
