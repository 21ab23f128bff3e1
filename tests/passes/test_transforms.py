"""Nets that call their layers inside torch.func's transforms."""

import pytest
import torch
import torch.nn as nn
from torch.func import functional_call, grad, jvp, vmap

from tests.proxies.plain_torch import check, evaluate
from zcfast.scoring import score

BATCH = torch.randn(4, 5, generator=torch.Generator().manual_seed(1)), torch.arange(4)
GRADIENTS = ["grad_norm", "snip", "plain", "grasp", "jacob_cov"]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.body, self.head = nn.Linear(5, 8), nn.Linear(8, 5)

    def one(self, x):
        return self.head(self.body(x).tanh())


class Mapped(Net):
    calls = 1

    def forward(self, x):
        return vmap(self.one)(x)


class Views(Net):
    calls = 3

    def forward(self, x):
        return vmap(self.one)(torch.stack([x, 2 * x, 3 * x])).mean(0)


class Nested(Net):
    calls = 2

    def forward(self, x):
        return vmap(vmap(self.one, in_dims=1, out_dims=1))(torch.stack([x, -x], 2).movedim(1, 2).mT).mean(1)


class LastDimension(Net):
    calls = 1

    def forward(self, x):
        return vmap(self.one, in_dims=-1, out_dims=-1)(x.T).T


class Slope(Net):
    """The output and its derivative by the inputs."""

    calls = 2

    def forward(self, x):
        return self.one(x) + grad(lambda each: self.one(each).square().sum())(x)


class Pushed(Net):
    calls = 1

    def forward(self, x):
        value, tangent = jvp(self.one, (x,), (torch.ones_like(x),))
        return value + tangent


class Called(Net):
    calls = 1

    def forward(self, x):
        body = functional_call(self.body, dict(self.body.named_parameters()), (x,))
        return self.head(body.tanh())


KINDS = [Mapped, Views, LastDimension, Slope, Pushed, Called]


@pytest.mark.parametrize("kind", KINDS)
def test_each_call_of_a_layer_counts_whole(kind):
    assert score(kind(), BATCH, ["flops"])["flops"].value == kind.calls * 80.0


@pytest.mark.parametrize("kind", KINDS)
def test_gradients(kind):
    check(kind(), BATCH, GRADIENTS, exact=1e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_fisher_is_refused_alone(kind):
    alone, beside = score(kind(), BATCH, GRADIENTS), score(kind(), BATCH, [*GRADIENTS, "fisher"])
    assert {name: beside[name].value for name in GRADIENTS} == {name: s.value for name, s in alone.items()}
    fisher = beside["fisher"]
    if kind is Called:
        assert fisher.value == pytest.approx(evaluate(kind(), BATCH, ["fisher"])["fisher"], rel=1e-5)
    else:
        assert fisher.status == "refused"
        assert "runs inside torch.func.vmap or the like" in fisher.reason
