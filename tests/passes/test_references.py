"""Nets whose weights are not what they seem are refused, and a second pass starts where the first did."""

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F  # noqa: N812

from zcfast.scoring import score

BATCH = torch.randn(6, 12, generator=torch.Generator().manual_seed(1)).double(), torch.arange(6) % 3
OF_WEIGHTS = ("grad_norm", "snip", "plain", "grasp", "fisher", "synflow", "synflow_bn")


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(3)


class Net(nn.Module):
    """Two linear layers; what a subclass multiplies by in the first one is its own matter."""

    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(12, 4), nn.Linear(4, 3)
        self.double()

    def weight(self):
        return self.body.weight

    def forward(self, x):
        return self.head(F.linear(x, self.weight(), self.body.bias).relu())


class Clamped(Net):
    """As EEGNet bounds its weights."""

    def weight(self):
        self.body.weight.data.clamp_(-0.1, 0.1)
        return self.body.weight


class Renormalised(Net):
    def weight(self):
        self.body.weight.data = torch.renorm(self.body.weight.data, 2, 0, 0.1)
        return self.body.weight


class Replaced(Net):
    def weight(self):
        self.body.weight = nn.Parameter(self.body.weight.detach() / 2)
        return self.body.weight


@pytest.mark.parametrize("kind", [Clamped, Renormalised, Replaced])
def test_a_weight_that_changes_is_refused(kind):
    net = kind()
    result = score(net, BATCH, OF_WEIGHTS)
    assert {s.status for s in result.values()} == {"refused"}
    assert all("'body' has another weight after a forward pass" in s.reason for s in result.values())


@pytest.mark.parametrize("kind", [Clamped, Renormalised])
def test_a_weight_within_its_bounds_is_not(kind):
    net, plain = kind(), Net()
    with torch.no_grad():
        net(BATCH[0])
    plain.load_state_dict(net.state_dict())
    result, expected = (score(each, BATCH, OF_WEIGHTS) for each in (net, plain))
    assert {k: s.value for k, s in result.items()} == pytest.approx({k: s.value for k, s in expected.items()})


def test_nan_weights_are_not_called_changed():
    net = Net()
    net.body.weight.data[0, 0] = torch.nan
    assert {s.status for s in score(net, BATCH, ("snip", "synflow")).values()} == {"undefined"}


class Listed(Net):
    """Keeps its weight in a list too, where no stand-in comes."""

    def __init__(self):
        super().__init__()
        self.kept = [self.body.weight]

    def weight(self):
        return self.kept[0]


class Cached(Net):
    def __init__(self):
        super().__init__()
        self.cache = {"inner": {}}

    def weight(self):
        if not self.cache["inner"]:
            self.cache["inner"]["weight"] = self.body.weight * 1
        return self.cache["inner"]["weight"]


@pytest.mark.parametrize("kind", [Listed, Cached])
def test_parameters_kept_elsewhere_are_refused(kind):
    net = kind()
    net(BATCH[0])
    result = score(net, BATCH, OF_WEIGHTS)
    assert {s.status for s in result.values()} == {"refused"}
    assert all("uses a parameter that it keeps outside" in s.reason for s in result.values())


def test_a_cache_is_made_anew_by_each_pass():
    net, plain = Cached(), Net()
    plain.load_state_dict(net.state_dict())
    result, expected = (score(each, BATCH, OF_WEIGHTS) for each in (net, plain))
    assert {k: s.value for k, s in result.items()} == pytest.approx({k: s.value for k, s in expected.items()})
    assert net.cache == {"inner": {}}


class Alternating(Net):
    """Takes another layer at every pass."""

    def __init__(self):
        super().__init__()
        self.other, self.passes = nn.Linear(12, 4).double(), 0

    def weight(self):
        self.passes += 1
        return (self.body if self.passes % 2 else self.other).weight


def test_every_pass_starts_from_the_callers_state():
    net, plain = Alternating(), Net()
    plain.load_state_dict(net.state_dict(), strict=False)
    names = ("grad_norm", "grasp", "synflow")
    result, expected = (score(each, BATCH, names) for each in (net, plain))
    assert {k: s.value for k, s in result.items()} == pytest.approx({k: s.value for k, s in expected.items()})
