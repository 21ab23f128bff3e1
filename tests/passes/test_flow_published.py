"""synflow of networks of every kind against the published procedure in plain torch."""

import copy
import math

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F  # noqa: N812
from torch.nn.modules.batchnorm import _BatchNorm

from zcfast.proxies import synflow
from zcfast.scoring import score

SIGNED = "synflow(signed=True)"
COUNTED = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
IMAGES, TOKENS = torch.randn(3, 3, 12, 12), torch.randn(3, 6, 16)


def published(net, inputs, train=True):
    """Of each counted layer, |W * dR/dW| and W * dR/dW, where the state is positive and the input of ones."""
    net = copy.deepcopy(net).double().train(train)
    for child in net.modules():
        for name, inner in list(child.named_children()):
            if isinstance(inner, _BatchNorm):
                setattr(child, name, nn.Identity())
    with torch.no_grad():
        for value in net.state_dict().values():
            value.abs_()
    layers = [layer for layer in net.modules() if isinstance(layer, COUNTED)]
    net(torch.ones_like(inputs[:1], dtype=torch.float64)).sum().backward()
    products = [layer.weight * (0 if layer.weight.grad is None else layer.weight.grad) for layer in layers]
    return [p.abs().sum().item() for p in products], [p.sum().item() for p in products]


class Residual(nn.Module):
    def __init__(self, body, scale=1.0):
        super().__init__()
        self.body, self.scale = body, scale

    def forward(self, x):
        return x + self.scale * self.body(x)


class Gate(nn.Module):
    """Squeeze and excitation (Hu et al. 2018)."""

    def __init__(self, channels):
        super().__init__()
        self.down, self.up = nn.Conv2d(channels, 2, 1), nn.Conv2d(2, channels, 1)

    def forward(self, x):
        return x * self.up(F.relu(self.down(x.mean((2, 3), keepdim=True)))).sigmoid()


class RootMeanSquareNorm(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(channels))

    def forward(self, x):
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6) * self.weight


class Recurrent(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.inward, self.body, self.head = nn.Linear(16, 8), kind(8, 8, batch_first=True), nn.Linear(8, 4)

    def forward(self, x):
        return self.head(self.body(self.inward(x))[0][:, -1])


class Twice(nn.Module):
    """One layer called twice, and one weight in two layers."""

    def __init__(self, activation):
        super().__init__()
        self.inward, self.body, self.tied = nn.Linear(16, 8), nn.Linear(8, 8), nn.Linear(8, 8)
        self.tied.weight, self.activation = self.body.weight, activation

    def forward(self, x):
        x = self.activation(self.inward(x))
        return self.tied(self.activation(self.body(self.activation(self.body(x)))))


class Negated(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.body, self.function = nn.Linear(16, 5), function

    def forward(self, x):
        return self.function(self.body(x))


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.MultiheadAttention(16, 4, batch_first=True), nn.Linear(16, 4)

    def forward(self, x):
        return self.head(self.body(x, x * torch.linspace(1, 2, 6, dtype=x.dtype)[:, None], x.cumsum(1))[0])


class Positions(nn.Module):
    """Tokens that differ by their positions, so that attention has something to weigh."""

    def __init__(self, body):
        super().__init__()
        self.positions, self.body, self.head = nn.Parameter(torch.randn(6, 16)), body, nn.Linear(16, 4)

    def forward(self, x):
        return self.head(self.body(x + self.positions))


def images(*body):
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), *body, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.LazyLinear(5))


def tokens(*body):
    return nn.Sequential(nn.Linear(16, 16), *body, nn.Linear(16, 5))


def encoder(**options):
    layer = nn.TransformerEncoderLayer(16, 4, 32, dropout=0.0, batch_first=True, **options)
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)


def conv():
    return nn.Conv2d(8, 8, 3, padding=1)


PAIRS = {
    "max pool": (lambda: images(nn.MaxPool2d(3, 2, 1), nn.ReLU(), conv()), IMAGES),
    "max pool of two depths": (lambda: images(Residual(conv()), nn.MaxPool2d(3, 2, 1), conv()), IMAGES),
    "average pool with padding": (
        lambda: images(nn.AvgPool2d(3, 1, 1), Residual(conv()), nn.AvgPool2d(3, 2, 1)),
        IMAGES,
    ),
    "average pool without": (lambda: images(Residual(conv()), nn.AvgPool2d(3, 1, 1, count_include_pad=False)), IMAGES),
    "residual": (lambda: images(Residual(nn.Sequential(conv(), nn.BatchNorm2d(8), nn.ReLU())), nn.ReLU()), IMAGES),
    "groups": (lambda: images(nn.Conv2d(8, 8, 3, groups=4), Residual(nn.Conv2d(8, 8, 1)), nn.Dropout(0)), IMAGES),
    "one dimension": (
        lambda: nn.Sequential(nn.Conv1d(6, 8, 3), nn.ReLU(), nn.MaxPool1d(2), nn.Flatten(1), nn.LazyLinear(3)),
        TOKENS,
    ),
    "twice": (lambda: Twice(F.relu), TOKENS),
    "no biases": (
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(96, 8, bias=False), nn.ReLU(), nn.Linear(8, 3, bias=False)),
        TOKENS,
    ),
}
BACKWARD = {
    "group norm": (lambda: images(nn.GroupNorm(2, 8), nn.ReLU(), conv(), nn.GroupNorm(4, 8)), IMAGES),
    "instance norm": (
        lambda: images(nn.InstanceNorm2d(8, affine=True), nn.GELU(), conv(), nn.InstanceNorm2d(8)),
        IMAGES,
    ),
    "local response": (lambda: images(nn.LocalResponseNorm(2), conv()), IMAGES),
    "gate": (lambda: images(Gate(8), conv(), nn.BatchNorm2d(8), nn.ReLU6()), IMAGES),
    "swish": (lambda: images(nn.SiLU(), conv(), nn.Hardswish()), IMAGES),
    "negative residual": (lambda: images(Residual(conv(), -0.1), nn.ReLU(), conv()), IMAGES),
    "layer norm": (lambda: tokens(nn.LayerNorm(16), nn.GELU()), TOKENS),
    "root mean square": (lambda: tokens(RootMeanSquareNorm(16), nn.Tanh()), TOKENS),
    "softmax": (lambda: tokens(nn.Softmax(-1)), TOKENS),
    "softplus, twice": (lambda: Twice(F.softplus), TOKENS),
    "negative output": (lambda: Negated(torch.neg), TOKENS),
    "both signs": (lambda: Negated(lambda y: y * torch.tensor([1, -1, 1, -1, -1], dtype=y.dtype)), TOKENS),
    "attention": (Attention, TOKENS),
    "encoder, post-norm": (lambda: Positions(encoder()), TOKENS),
    "encoder, pre-norm": (lambda: Positions(encoder(norm_first=True, activation="gelu")), TOKENS),
    "GRU": (lambda: Recurrent(nn.GRU), TOKENS),
    "LSTM": (lambda: Recurrent(nn.LSTM), TOKENS),
    "RNN": (lambda: Recurrent(nn.RNN), TOKENS),
}


def built(name, seed):
    torch.manual_seed(seed)
    build, inputs = {**PAIRS, **BACKWARD}[name]
    net = build()
    net(inputs)
    return net, inputs


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("name", [*PAIRS, *BACKWARD])
def test_equals_the_published_procedure(name, train):
    net, inputs = built(name, 3)
    net.train(train)
    batch = inputs, torch.zeros(len(inputs), dtype=torch.long)
    totals = score(net, batch, ["synflow", synflow(signed=True)], train=train, loss_fn=lambda y, t: y.sum())
    layers = score(net, batch, ["synflow", synflow(signed=True)], train=train, per_layer=True)
    for label, expected in zip(("synflow", SIGNED), published(net, inputs, train), strict=True):
        assert layers[label].per_layer.tolist() == pytest.approx(expected, rel=1e-9, abs=1e-9 * max(map(abs, expected)))
        assert totals[label].value == pytest.approx(math.fsum(expected), rel=1e-9)
        assert layers[label].value == totals[label].value
        logarithm = math.log(totals[label].value) if totals[label].value > 0 else math.nan
        assert totals[label].log_value == pytest.approx(logarithm, nan_ok=True)


@pytest.mark.parametrize("name", PAIRS)
def test_where_no_term_is_negative_the_two_are_one(name):
    net, inputs = built(name, 4)
    result = score(net, (inputs, torch.zeros(3, dtype=torch.long)), ["synflow", synflow(signed=True)])
    assert result["synflow"].value == result[SIGNED].value > 0


@pytest.mark.parametrize("seed", range(6))
def test_a_transformer(seed):
    """Its signed terms all but cancel."""
    torch.manual_seed(seed)
    net = Positions(nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 4, 64, batch_first=True), 2)).eval()
    result = score(net, (TOKENS, torch.zeros(3, dtype=torch.long)), ["synflow"], train=False)["synflow"]
    absolute, signed = map(math.fsum, published(net, TOKENS, train=False))
    assert result.value == pytest.approx(absolute, rel=1e-9)
    assert abs(signed) < absolute


def test_a_net_whose_output_does_not_depend_on_its_weights():
    """The sum of what layer normalisation puts out is constant, so that gradients are rounding errors."""
    net = nn.Sequential(nn.Linear(16, 16), nn.GELU(), nn.Linear(16, 16), nn.LayerNorm(16))
    result = score(
        net, (TOKENS, torch.zeros(3, dtype=torch.long)), ["synflow", "snip"], loss_fn=lambda y, t: y.square().mean()
    )
    assert result["synflow"].status == "undefined"
    assert "rounding decides" in result["synflow"].reason
    assert result["snip"].status == "ok"


@pytest.mark.parametrize("activation", [nn.ReLU, nn.GELU])
def test_nets_that_put_out_nothing(activation):
    net = nn.Sequential(nn.Linear(16, 8), activation(), nn.Linear(8, 3))
    nn.init.zeros_(net[2].weight)
    result = score(net, (TOKENS, torch.zeros(3, dtype=torch.long)), ["synflow"], loss_fn=lambda y, t: y.sum())[
        "synflow"
    ]
    assert (result.status, result.value, result.log_value) == ("ok", 0.0, -math.inf)


def test_beyond_float64():
    layers = [each for _ in range(60) for each in (nn.Linear(16, 16), nn.ReLU())]
    for layer in layers[::2]:
        nn.init.constant_(layer.weight, 1e6)
    batch = TOKENS, torch.zeros(3, dtype=torch.long)
    homogeneous, other = nn.Sequential(*layers), nn.Sequential(*layers, nn.Softplus())
    result = score(homogeneous, batch, ["synflow"], loss_fn=lambda y, t: y.mean())["synflow"]
    assert (result.value, 800 < result.log_value < 1200) == (math.inf, True)
    result = score(other, batch, ["synflow"], loss_fn=lambda y, t: y.mean())["synflow"]
    assert result.value == math.inf or result.status == "undefined"
