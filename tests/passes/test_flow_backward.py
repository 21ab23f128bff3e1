"""synflow of nets whose gradient is not what their forward pass says, or has no digit: the backward pass decides."""

import pytest
import torch
import torch.nn as nn

from zcfast.scoring import score
from zcfast.spaces import space

BATCH = torch.randn(2, 12, generator=torch.Generator().manual_seed(1)), torch.arange(2)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(5)


def synflow(net, **options):
    return score(net, BATCH, ["synflow"], **options)["synflow"]


def test_backward_hooks_of_modules():
    net = nn.Sequential(nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 3))
    first, head = synflow(net, per_layer=True).per_layer.tolist()
    net[1].register_full_backward_hook(lambda module, to_input, from_output: (-2 * to_input[0],))
    assert synflow(net).value == pytest.approx(head + 2 * first)


class Hooked(nn.Sequential):
    """Reverses the gradient of its first part."""

    def forward(self, x):
        x = self[0](x)
        if x.requires_grad:
            x.register_hook(lambda gradient: -3 * gradient)
        return self[1](x.relu())


class Data(nn.Sequential):
    """A straight-through estimate: what .data gives has no derivative."""

    def forward(self, x):
        x = self[0](x)
        return self[1](x + (x.tanh() - x).data)


class NodeOnly(nn.Sequential):
    """Another net where there is a graph."""

    def forward(self, x):
        x = self[0](x)
        return self[1](x if x.grad_fn is None else 2 * x)


class Products(nn.Sequential):
    """An operation of which torch drops the tangent."""

    def forward(self, x):
        x = self[0](x)
        pairs = (torch.arange(8) // 2).expand_as(x)
        return self[1](torch.ones_like(x).scatter_reduce(1, pairs, x, "prod"))


class Unpooled(nn.Sequential):
    """Puts numbers of overlapping windows in the same places."""

    def forward(self, x):
        x = self[0](x)[:, None]
        return self[1](
            nn.functional.max_unpool1d(*nn.functional.max_pool1d(x, 3, 1, 1, return_indices=True), 3, 1, 1)[:, 0]
        )


@pytest.mark.parametrize("kind", [Hooked, Data, NodeOnly, Products, Unpooled])
@pytest.mark.parametrize("activation", [nn.ReLU, nn.Softplus])
def test_what_depends_on_the_mode(kind, activation):
    net = kind(nn.Linear(12, 8), nn.Sequential(activation(), nn.Linear(8, 3)))
    total = synflow(net, per_layer=True).per_layer.sum().item()
    assert synflow(net).value == pytest.approx(total, rel=1e-12)


class Attention(nn.Module):
    """Weighs two values by two numbers of the given size, one of which is a product of two weights."""

    def __init__(self, size):
        super().__init__()
        self.one, self.inner, self.outer = (nn.Linear(1, 1, bias=False) for _ in range(3))
        self.head = nn.Linear(2, 3)
        for layer, weight in ((self.one, size), (self.inner, size), (self.outer, 1)):
            nn.init.constant_(layer.weight, weight)

    def forward(self, x):
        x = x[:, :1]
        return self.head(torch.cat([self.one(x), self.outer(self.inner(x))], 1).softmax(1))


@pytest.mark.parametrize("per_layer", [False, True])
def test_a_value_that_rounding_decides_is_undefined(per_layer):
    assert synflow(Attention(1e3), per_layer=per_layer).status == "ok"
    result = synflow(Attention(1e18), per_layer=per_layer)
    assert (result.status, result.value != result.value) == ("undefined", True)
    assert "rounding decides" in result.reason


def smallest_cell(seed, **options):
    return space("nasbench101").build("output:0", generator=torch.Generator().manual_seed(seed), **options)


@pytest.mark.parametrize("options", [{}, {"modules": 1}, {"stem_channels": 16, "modules": 2}])
@pytest.mark.parametrize("pixels", [8, 16, 32])
def test_synflow_bn_of_rounding_errors_is_undefined(pixels, options):
    """Behind its first pool all maps are constant: each BatchNorm divides rounding errors by the root of its eps."""
    batch = torch.randn(2, 3, pixels, pixels), torch.arange(2)
    result = score(smallest_cell(0, **options), batch, ["synflow_bn", "synflow"])
    assert (result["synflow_bn"].status, result["synflow"].status) == ("undefined", "ok")
    assert "rounding decides" in result["synflow_bn"].reason


@pytest.mark.parametrize("seed", range(4))
def test_synflow_bn_of_numbers_is_not(seed):
    """Networks of NAS-Bench-201, whose zeros and averages leave no map constant, and a dead one."""
    cells = space("nasbench201").sample(3, torch.Generator().manual_seed(seed))
    cells = [*space("nasbench201").format(cells), "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"]
    batch = torch.randn(2, 3, 16, 16), torch.arange(2)
    for cell in cells:
        net = space("nasbench201").build(cell, generator=torch.Generator().manual_seed(seed), modules=1)
        assert score(net, batch, ["synflow_bn"])["synflow_bn"].status == "ok"


def test_synflow_bn_where_a_view_needs_its_format():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), Viewed(), nn.Linear(144, 2))
    assert score(net, (torch.randn(2, 3, 8, 8), torch.arange(2)), ["synflow_bn"])["synflow_bn"].status == "ok"


class Viewed(nn.Module):
    def forward(self, x):
        return x.relu().view(len(x), -1)
