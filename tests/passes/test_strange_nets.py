"""Nets that keep state in places that are easily overlooked: each comes back, and no number is wrong."""

import copy
import logging
import sys
import time
import weakref
from unittest import mock

import pytest
import torch
from torch import nn

from zcfast.passes import snapshot
from zcfast.passes.snapshot import Snapshot
from zcfast.scoring import score

BATCH = torch.randn(6, 5, generator=torch.Generator().manual_seed(0)).double(), torch.arange(6) % 3
ALL = ("grad_norm", "snip", "grasp", "fisher", "jacob_cov", "synflow", "synflow_bn")


class Net(nn.Module):
    """Calls `change` in each pass and multiplies by what it gives."""

    def __init__(self, change=lambda net: None, held=None, operation=lambda x: x):
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b = nn.Linear(5, 8), nn.Linear(8, 3)
        self.change, self.held, self.operation = change, held, operation
        self.double()

    def forward(self, x):
        factor = self.change(self)
        x = self.operation(self.b(torch.relu(self.a(x))))
        return x if factor is None else x * factor


def halving():
    numbers = iter([2.0**-n for n in range(99)])
    return lambda net: next(numbers)


def plain():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3)).double()


@pytest.mark.parametrize("proxies", [["synflow"], ["synflow_bn"], ["synflow", "synflow_bn"]])
@pytest.mark.parametrize("per_layer", [False, True])
@pytest.mark.parametrize("operation", [lambda x: x, lambda x: x.cumsum(1)], ids=["rule", "no rule"])
def test_flows_of_a_net_that_changes_are_those_of_its_first_run(proxies, per_layer, operation):
    right = score(Net(operation=operation), BATCH, proxies, per_layer=per_layer)
    result = score(Net(halving(), operation=operation), BATCH, proxies, per_layer=per_layer)
    for proxy in proxies:
        assert result[proxy].status != "ok" or result[proxy].value == right[proxy].value, proxy


def test_a_logits_function_that_keeps_state():
    right, state = score(plain(), BATCH, ALL), halving()
    result = score(plain(), BATCH, ALL, logits=lambda output: output * state(None))
    assert {name for name in ALL if result[name].status != "refused"} == {"grad_norm", "snip", "fisher", "jacob_cov"}
    assert result["snip"].value == right["snip"].value


def test_a_hook_on_all_modules_that_keeps_state():
    net, state = plain(), halving()
    right = score(net, BATCH, ALL)
    hook = nn.modules.module.register_module_forward_hook(lambda m, _, out: out * state(None) if m is net else None)
    try:
        result = score(net, BATCH, ALL)
    finally:
        hook.remove()
    for name in ALL:
        assert result[name].status == "refused" or result[name].value == right[name].value, name


def test_an_activation_function_that_keeps_state():
    def net(activation):
        torch.manual_seed(0)
        return nn.Sequential(nn.TransformerEncoderLayer(5, 1, 8, 0.0, activation), nn.Linear(5, 3)).double()

    state = halving()
    right = score(net(torch.relu), BATCH, ALL)
    result = score(net(lambda x: torch.relu(x) * state(None)), BATCH, ALL)
    for name in ALL:
        assert result[name].status == "refused" or result[name].value == pytest.approx(right[name].value), name


def test_a_loss_that_keeps_state_has_no_second_derivative():
    state, cross_entropy = halving(), nn.functional.cross_entropy
    right = score(plain(), BATCH, ["snip", "grasp"], loss_fn=cross_entropy)
    result = score(plain(), BATCH, ["snip", "grasp"], loss_fn=lambda x, y: cross_entropy(x, y) * state(None))
    assert result["snip"].value == right["snip"].value
    assert result["grasp"].status == "refused"
    assert "loss_fn" in result["grasp"].reason


def test_slots_of_modules_come_back():
    class Slotted(Net):
        __slots__ = ("t",)

    def change(net):
        net.t *= 0.5
        return net.t

    net = Slotted(change)
    Slotted.t.__set__(net, 1.0)
    assert {s.status for s in score(net, BATCH, ALL).values()} == {"ok"}
    assert net.t == 1.0


def test_a_hidden_module_that_follows_the_weights_comes_back():
    def change(net):
        with torch.no_grad():
            net.held[0].weight.lerp_(net.a.weight, 0.5)

    net = Net(change, [nn.Linear(5, 8).double()])
    weight = net.held[0].weight.clone()
    score(net, BATCH, ALL)
    assert torch.equal(net.held[0].weight, weight)


def test_what_tensors_need_and_their_gradients_come_back():
    def change(net):
        net.held[0].requires_grad_()
        net.held[1].grad += 1
        net.held[2].grad = torch.ones(2)

    held = [torch.ones(2), *(torch.ones(2, requires_grad=True) for _ in range(2))]
    held[1].grad = kept = torch.zeros(2)
    score(Net(change, held), BATCH, ALL)
    assert not held[0].requires_grad
    assert held[1].grad is kept
    assert kept.tolist() == [0, 0]
    assert held[2].grad is None


def test_global_modes_of_torch_come_back():
    def change(_):
        torch.set_default_dtype(torch.float64)
        torch.use_deterministic_algorithms(True, warn_only=True)

    score(Net(change), BATCH, ALL)
    assert torch.get_default_dtype() is torch.float32
    assert not torch.are_deterministic_algorithms_enabled()


def test_loggers_that_a_pass_makes_stay():
    net = Net(lambda net: logging.getLogger("zcfast.tests.made_in_a_pass") and None, logging.getLogger("zcfast.tests"))
    score(net, BATCH, ALL)
    assert "zcfast.tests.made_in_a_pass" in logging.root.manager.loggerDict


class Sized(dict):
    def __len__(self):
        raise TypeError


class Disguised:
    @property
    def __class__(self):
        raise RuntimeError


class NoAttributes:
    @property
    def __dict__(self):
        raise RuntimeError


class Weak(dict):
    pass


DEAD, ALIVE = Weak(), Weak(a=1)
STRANGE = {
    "size that raises": Sized(),
    "class that raises": Disguised(),
    "attributes that raise": NoAttributes(),
    "weak proxy": weakref.proxy(ALIVE),
    "dead weak proxy": weakref.proxy(DEAD),
    "mock of a dictionary": mock.MagicMock(spec=dict),
    "tensor without memory": nn.parameter.UninitializedBuffer(),
}
del DEAD


@pytest.mark.parametrize("name", STRANGE)
def test_strange_objects_are_left_alone(name):
    net = plain()
    expected = score(net, BATCH, ALL)
    net.__dict__["held"] = STRANGE[name]
    assert {k: s.value for k, s in score(net, BATCH, ALL).items()} == {k: s.value for k, s in expected.items()}
    assert len(net) == 3


@pytest.mark.parametrize("kind", [RuntimeError, KeyboardInterrupt])
def test_an_error_at_each_line_of_putting_back(kind):
    """Anywhere in snapshot.py while a net is put back, as an interrupt may come."""

    def change(net):
        net.held["b"] = 1
        net.held["a"].append(1)
        net.extra = nn.Identity()

    at, line = None, 0

    def trace(frame, event, _):
        nonlocal line
        if not frame.f_code.co_filename.endswith("snapshot.py"):
            return None
        if event == "line" and frame.f_code.co_name not in {"__init__", "restore", "tried"}:
            line += 1
            if line == at:
                raise kind
        return trace

    net = Net(change, {"a": []})
    at = 0
    while line >= at:
        at, line = at + 7, 0
        sys.settrace(trace)
        try:
            score(net, BATCH, ["snip"])
        except (kind, RuntimeWarning):
            pass
        finally:
            sys.settrace(None)
        assert list(net._modules) == ["a", "b"], at
        assert isinstance(net.a.weight, nn.Parameter)
        assert net.held == {"a": []}, at


class Sample:
    def __init__(self, number):
        self.number, self.labels = number, [number]


def test_a_net_that_holds_many_objects():
    net = Net(lambda net: net.held[-1].labels.append(1), [Sample(number) for number in range(20_000)])
    start = time.process_time()
    copy.deepcopy(net.held)
    copied = time.process_time()
    noted = Snapshot(list(net.modules()))
    net.held[-1].labels.append(1)
    assert not noted.restore()
    assert time.process_time() - copied < (copied - start) / 2
    assert {s.status for s in score(net, BATCH, ALL).values()} == {"ok"}
    assert net.held[-1].labels == [19_999]


def test_a_net_that_holds_more_than_is_looked_at(monkeypatch):
    monkeypatch.setattr(snapshot, "LARGEST", 100)
    with pytest.warns(RuntimeWarning, match="module: it holds more than 100 objects"):
        score(Net(held=[[number] for number in range(200)]), BATCH, ["snip"])


def test_buffers_come_back_whatever_else_a_net_holds(monkeypatch):
    monkeypatch.setattr(snapshot, "LARGEST", 100)
    net = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Linear(4, 3)).double()
    net.held = [[number] for number in range(200)]
    before = copy.deepcopy(net.state_dict())
    with pytest.warns(RuntimeWarning, match="module: it holds more than 100 objects"):
        score(net, BATCH, ALL)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
