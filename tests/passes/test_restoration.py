"""The caller's net comes back as it was, whatever happens in between."""

import math
from collections import deque

import pytest
import torch
import torch.nn as nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

from tests.passes.traps import Trap
from tests.proxies.example_nets import ANY_NET, SMALL_NET, image_batch
from zcfast.proxies import fisher
from zcfast.scoring import score

ALL = SMALL_NET
MINIBATCH = ("grad_norm", "snip", "plain", "grasp", "fisher", "jacob_cov", "naswot", "flops")


def net_with(trap):
    """float32, so that a trap for float64 springs in the synflow passes alone."""
    torch.manual_seed(0)
    net = nn.Sequential(
        weight_norm(nn.Conv2d(3, 4, 3, padding=1)),
        nn.BatchNorm2d(4),
        nn.ReLU(inplace=True),
        nn.Dropout(0.1),
        spectral_norm(nn.Conv2d(4, 4, 3, padding=1)),
        trap,
        nn.BatchNorm2d(4),
        nn.Flatten(),
        nn.Linear(256, 5),
    )
    net[3].eval()
    net[8].bias.requires_grad_(False)
    net[8].weight.grad = torch.ones_like(net[8].weight)
    net[1].register_forward_hook(lambda *_: None)
    net.eval()
    net[6].train()
    return net


def fingerprint(net):
    """Everything about a net that could change."""
    modules = {}
    for name, child in net.named_modules():
        attributes = {k: v for k, v in child.__dict__.items() if not isinstance(v, dict)}
        attributes |= {k: v.copy() for k, v in attributes.items() if isinstance(v, list | set)}
        tables = {k: list(v.items()) for k, v in child.__dict__.items() if isinstance(v, dict)}
        modules[name] = (type(child), attributes, {k: [(a, id(b)) for a, b in v] for k, v in tables.items()})
    tensors = {}
    for name, tensor in [*net.named_parameters(), *net.named_buffers()]:
        grad = None if tensor.grad is None else tensor.grad.tolist()
        tensors[name] = (id(tensor), tensor.requires_grad, tensor.tolist(), grad, id(tensor.grad), tensor.is_leaf)
    return modules, tensors, torch.get_rng_state().tolist()


def scored_unchanged(net, proxies, **options):
    before = fingerprint(net)
    try:
        return score(net, image_batch(dtype=torch.float32), proxies, **options)
    finally:
        assert fingerprint(net) == before


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("per_layer", [True, False])
def test_after_all_proxies(train, per_layer):
    result = scored_unchanged(net_with(Trap()), ALL, train=train, per_layer=per_layer)
    expected = dict.fromkeys(ALL, "ok")
    if not train:
        expected["zen"] = "undefined"  # it takes the batch's variances
    assert {name: s.status for name, s in result.items()} == expected


def test_under_no_grad_and_inside_cached_parametrizations():
    with torch.no_grad(), parametrize.cached():
        result = scored_unchanged(net_with(Trap()), ALL)
    expected = scored_unchanged(net_with(Trap()), ALL)
    assert {k: s.value for k, s in result.items()} == {k: s.value for k, s in expected.items()}


PASSES = {
    "forward": (Trap, {"stage": "forward"}, {*MINIBATCH, "multiply_adds", "synflow", "synflow_bn"}),
    "forward of synflow": (Trap, {"stage": "forward", "dtype": torch.float64}, {"synflow", "synflow_bn"}),
    "input jacobian": (Trap, {"stage": "backward", "times": 1}, {"jacob_cov"}),
    "loss gradient": (
        Trap,
        {"stage": "backward", "skip": 1, "dtype": torch.float32},
        {"grad_norm", "snip", "plain", "grasp", "fisher"},
    ),
    "second order": (Trap, {"stage": "double backward"}, {"grasp"}),
}


@pytest.mark.parametrize("where", PASSES)
def test_after_an_exception_in_each_pass(where):
    kind, plan, failing = PASSES[where]
    result = scored_unchanged(net_with(kind(**plan)), (*ANY_NET, "naswot"))
    for name, one in result.items():
        if name not in failing:
            assert one.status == "ok", name
    failed = {name for name, one in result.items() if one.status == "failed"}
    assert failed
    assert failed <= failing
    assert all(math.isnan(result[name].value) and "sprung" in result[name].reason for name in failed)


@pytest.mark.parametrize("where", PASSES)
def test_after_an_interrupt_in_each_pass(where):
    kind, plan, _ = PASSES[where]
    with pytest.raises(KeyboardInterrupt):
        scored_unchanged(net_with(kind(**plan, error=KeyboardInterrupt)), ALL)


def test_after_an_exception_in_a_proxy(monkeypatch):
    def broken(self, results):
        raise RuntimeError("sprung")

    monkeypatch.setattr(fisher, "layerwise", broken)
    result = scored_unchanged(net_with(Trap()), ("fisher", "snip"))
    assert (result["fisher"].status, result["snip"].status) == ("failed", "ok")


class Vandal(nn.Module):
    """Writes to its weight, its buffer, its input and its attributes, then raises if asked to."""

    def __init__(self, raises):
        super().__init__()
        self.layer = nn.Linear(4, 3)
        self.register_buffer("calls", torch.zeros(()))
        self.raises = raises
        self.memory, self.history, self.seen = {"inner": {}}, ["kept"], {"kept"}
        self.recent = deque(maxlen=2)
        self.mean, self.means = torch.zeros(4), {"old": [torch.zeros(4)]}

    def forward(self, x):
        with torch.no_grad():
            self.layer.weight.mul_(0.5)
        self.calls += 1
        self.last = x
        self.memory["last"] = self.memory["inner"]["last"] = x
        self.recent.append(x)
        self.mean += x.detach().mean(0)
        self.means["old"][0].data.copy_(self.mean)
        self.history.append(x)
        self.seen.add(len(self.history))
        self.extra = nn.Identity()
        torch.rand(1)
        x.mul_(2)
        if self.raises:
            raise RuntimeError("sprung")
        return self.layer(x)


@pytest.mark.parametrize("raises", [False, True])
def test_a_net_that_writes_to_itself(raises):
    net, inputs = Vandal(raises), torch.randn(5, 4)
    before, content = fingerprint(net), inputs.clone()
    result = score(net, (inputs, torch.arange(5) % 3), ALL)
    assert fingerprint(net) == before
    assert torch.equal(inputs, content)
    assert net.memory == {"inner": {}}
    assert not net.recent
    assert net.mean.tolist() == net.means["old"][0].tolist() == [0] * 4
    assert result["snip"].status == ("failed" if raises else "refused")  # it has halved its weight


def test_scores_do_not_depend_on_company():
    together = scored_unchanged(net_with(Trap()), ALL)
    for name in ALL:
        assert scored_unchanged(net_with(Trap()), [name])[name].value == together[name].value, name


def test_twice_the_same_bits():
    net = net_with(Trap())
    first, second = (scored_unchanged(net, ALL, per_layer=True) for _ in range(2))
    for name in ALL:
        assert first[name].value == second[name].value


class Freezing(nn.Sequential):
    """As detectors do with their first stages."""

    def train(self, mode=True):
        super().train(mode)
        self[0].weight.requires_grad_(False)
        return self


class Merging(nn.Sequential):
    """As layers do that add an adapter to their weight for evaluation."""

    merged = True

    def train(self, mode=True):
        super().train(mode)
        if mode is self.merged:
            self[0].weight.data -= 0.1 if mode else -0.1
            self.merged = not mode
        return self


class Listed(nn.Sequential):
    """Writes to its own parameters, by way of a list."""

    def forward(self, x):
        with torch.no_grad():
            for parameter in self.held:
                parameter.lerp_(parameter.sign(), 0.5)
                parameter.grad = None
        return super().forward(x)


@pytest.mark.parametrize("kind", [Freezing, Merging, Listed])
def test_parameters_that_the_net_writes_to(kind):
    torch.manual_seed(0)
    net = kind(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    net.held = list(net.parameters())
    net[2].bias.grad = torch.ones(3)
    net.eval()
    net.merged = True
    batch = torch.randn(5, 4), torch.arange(5) % 3
    before = fingerprint(net)
    score(net, batch, ALL)
    assert fingerprint(net) == before


def test_parameters_that_something_unseen_writes_to_are_told():
    net = nn.Sequential(nn.Linear(4, 3))
    parameter = net[0].weight

    def hook(*_):
        with torch.no_grad():
            parameter.mul_(0.5)

    net.register_forward_hook(hook)
    with pytest.warns(RuntimeWarning, match=r"something that cannot be seen has written to a parameter of shape"):
        assert score(net, (torch.randn(5, 4), torch.arange(5) % 3), ["snip"])["snip"].status == "refused"
