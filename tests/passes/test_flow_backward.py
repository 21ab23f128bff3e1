"""synflow of nets whose gradient is not what their forward pass says, or has no digit: the backward pass decides."""

import copy

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


def unpadded(*between, width=8, **options):
    """A first convolution that makes constant maps of ones, and what BatchNorm gets them."""
    norm = nn.BatchNorm2d(width, **options)
    head = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 4)
    return nn.Sequential(nn.Conv2d(3, width, 3), norm, *between, *head)


def padded(width=8):
    return nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()


NOISE = {
    "activation": lambda: unpadded(nn.ReLU()),
    "no activation": lambda: unpadded(nn.Conv2d(8, 8, 3, bias=False)),
    "padding behind": lambda: unpadded(nn.ReLU(), *padded(), *padded(), *padded()),
    "no weights": lambda: unpadded(nn.ReLU(), affine=False),
}


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("net", NOISE)
@pytest.mark.parametrize("seed", range(3))
def test_synflow_bn_of_constant_maps_alone_is_undefined(net, seed, memory_format):
    """Its value is 0, and what float64 gives in its place is of no size that anything decides."""
    torch.manual_seed(seed)
    scored = NOISE[net]().to(memory_format=memory_format)
    result = score(scored, (torch.randn(2, 3, 12, 12), torch.arange(2)), ["synflow_bn"])["synflow_bn"]
    assert result.status == "undefined"
    assert "rounding decides" in result.reason


def shifted():
    net = unpadded(nn.ReLU(), *padded())
    nn.init.uniform_(net[1].bias, 0.1, 1)
    return net


NUMBERS = {
    "shifts": shifted,
    "biases behind": lambda: unpadded(nn.ReLU(), nn.Conv2d(8, 8, 3)),
    "an activation of zero that is none": lambda: unpadded(nn.Hardsigmoid()),
    "padding": lambda: nn.Sequential(*padded(3), nn.Flatten(), nn.Linear(432, 4)),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_synflow_bn_of_constant_maps_and_more_is_not(name):
    torch.manual_seed(0)
    net = NUMBERS[name]()
    result = score(net, (torch.randn(2, 3, 12, 12), torch.arange(2)), ["synflow_bn"])["synflow_bn"]
    assert result.value == pytest.approx(plain_synflow_bn(net), rel=1e-6)


def plain_synflow_bn(net):
    net = copy.deepcopy(net).double().train()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.abs_()
    weights = [each.weight for each in net if isinstance(each, nn.Conv2d | nn.Linear)]
    total = net(torch.ones(1, 3, 12, 12, dtype=torch.float64)).sum()
    return sum((w * g).abs().sum().item() for w, g in zip(weights, torch.autograd.grad(total, weights), strict=True))


def test_synflow_bn_where_a_view_needs_its_format():
    net = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), Viewed(), nn.Linear(256, 2))
    assert score(net, (torch.randn(2, 3, 8, 8), torch.arange(2)), ["synflow_bn"])["synflow_bn"].status == "ok"


class Viewed(nn.Module):
    def forward(self, x):
        return x.relu().view(len(x), -1)
