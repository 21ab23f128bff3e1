"""Parameters with attributes, of a class of their own, and nets that ask whether they hold parameters."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from tests.proxies.plain_torch import evaluate
from zcfast.scoring import score

BATCH = torch.randn(6, 5, generator=torch.Generator().manual_seed(0)).double(), torch.arange(6) % 3
ALL = ("grad_norm", "snip", "grasp", "fisher", "jacob_cov")


class Net(nn.Module):
    def __init__(self, factor):
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b, self.factor = nn.Linear(5, 8), nn.Linear(8, 3), factor
        self.double()

    def forward(self, x):
        return self.b(torch.relu(self.a(x))) * self.factor(self)


def scaled(net):
    return getattr(net.a.weight, "scale", 1.0) * getattr(net.b.bias, "scale", 1.0)


def kind(net):
    return 2.0 if all(isinstance(parameter, nn.Parameter) for parameter in net.parameters()) else 1.0


class Named(nn.Parameter):
    """A class without rules of its own."""


def named(net):
    return 2.0


@pytest.mark.parametrize("factor", [scaled, kind, named])
@pytest.mark.parametrize("together", [True, False])
def test_what_nets_ask_of_their_parameters(factor, together):
    net, plain = Net(factor), Net(lambda net: 2.0)
    if factor is scaled:
        net.a.weight.scale, net.b.bias.scale = 4.0, 0.5
    if factor is named:
        net.a.weight = Named(net.a.weight.data)
    expected = {**evaluate(plain, BATCH, ALL), "synflow": score(plain, BATCH, ["synflow"])["synflow"].value}
    found = score(net, BATCH, [*expected]) if together else {k: score(net, BATCH, [k])[k] for k in expected}
    for name, value in expected.items():
        assert found[name].value == pytest.approx(value, rel=1e-9), (name, found[name].reason)


class Doubled(nn.Parameter):
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        with torch._C.DisableTorchFunctionSubclass():
            if func is F.linear:
                return F.linear(args[0], 2 * args[1], *args[2:])
            return func(*args, **(kwargs or {}))


class Wrapped(torch.Tensor):
    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        raise NotImplementedError


def test_parameters_with_rules_of_their_own_are_refused():
    net = Net(named)
    net.a.weight = Doubled(net.a.weight.data)
    with pytest.raises(ValueError, match=r"expected parameters without rules of their own .* 'a.weight' is a Doubled"):
        score(net, BATCH, ["snip"])
    net = Net(named)
    net.b._parameters["bias"] = torch.Tensor._make_wrapper_subclass(Wrapped, (3,))
    with pytest.raises(ValueError, match=r"'b.bias' is a Wrapped"):
        score(net, BATCH, ["snip"])
