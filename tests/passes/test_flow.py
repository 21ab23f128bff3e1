"""synflow by pairs and by a backward pass: the number of the published code."""

import math
from functools import partial

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F  # noqa: N812

from tests.proxies.example_nets import DenseNet, ResNet, Tokens, image_batch, small_cnn
from zcfast.passes.batch import Batch
from zcfast.passes.flow.linear_flow import LinearFlow, _FlowRun
from zcfast.passes.isolation import isolated
from zcfast.passes.layers import find_layers
from zcfast.passes.net import Net
from zcfast.proxies import synflow
from zcfast.scoring import score
from zcfast.spaces import space as named_space


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(5)


COUNTED = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)


class Isolating:
    """Calls the methods of synflow's pass, each on the net as it is."""

    def __init__(self, net, batch, kinds):
        self.net, self.batch, self.kinds = net, batch, kinds

    def __getattr__(self, name):
        return partial(self.call, name)

    def call(self, name, *args, **options):
        with isolated(self.net, train=True) as started:
            layers = find_layers(self.net, self.kinds)
            net = Net(started, layers, self.batch, channels_last=False, per_layer=False, trainable=0, tensors=0, seed=0)
            return getattr(_FlowRun(net, self.batch, LinearFlow()), name)(*args, **options)


def run_of(net, inputs=None, kinds=COUNTED):
    inputs = torch.randn(2, 3, 8, 8) if inputs is None else inputs
    return Isolating(net, Batch(inputs, torch.zeros(len(inputs), dtype=torch.long)), kinds)


def backward(run):
    return run.backward().sum().item()


def flow(net, inputs=None, per_layer=False):
    return run_of(net, inputs).flow(per_layer=per_layer)


class Variety(nn.Module):
    """Everything that pairs have a rule for."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=8, bias=False)
        self.norm, self.relu = nn.BatchNorm2d(8), nn.ReLU(inplace=True)
        self.up = nn.ConvTranspose2d(8, 8, 2, 2)
        self.conv1, self.norm1 = nn.Conv1d(8, 4, 3), nn.BatchNorm1d(4)
        self.conv3 = nn.Conv3d(1, 2, 3)
        self.linear, self.head = nn.Linear(4, 4), nn.Linear(4, 5, bias=False)

    def forward(self, x):
        x = self.conv(x)
        y = self.relu(self.norm(self.depthwise(x)))
        y = y + x
        x = self.conv(x[:, :3])
        x += y
        y = F.max_pool2d(F.pad(x, (0, 1, 0, 1)), 3, 2)
        y = y + 0.5 + 2 * sum([y, F.avg_pool2d(y, 3, 1, 1), F.adaptive_max_pool2d(y, 4)]) / 3
        first, second = self.up(y).chunk(2, 1)
        y = torch.cat([second[:, :, ::2], first[:, :, 1::2].relu()], 1)
        y = y.view(1, 2, 4, *y.shape[2:]).transpose(1, 2).contiguous().view(1, 8, *y.shape[2:])  # channel shuffle
        volume = self.conv3(y.permute(0, 2, 3, 1).unsqueeze(1))
        y = y + (volume.mean((1, 2, 3, 4)) + F.max_pool3d(volume, 2).flatten(1).sum(1))[:, None, None, None]
        y = self.norm1(self.conv1(y.flatten(2))).mean(-1)
        y = self.head(self.linear(y[:, None].expand(-1, 3, -1).contiguous())).select(1, 2)
        return F.dropout(y, 0.0).squeeze(0)[None]


@pytest.mark.parametrize("kinds", [(nn.Conv2d, nn.Linear), (nn.Conv1d, nn.Conv3d), (nn.Linear,)])
def test_two_ways(kinds):
    run = run_of(Variety(), kinds=kinds)
    assert run.pairs().value == pytest.approx(backward(run), rel=1e-13)
    assert backward(run) > 0


@pytest.mark.parametrize(
    "net", [small_cnn(), ResNet((1, 1), 8, 5), DenseNet((2, 2), 4, 5)], ids=["cnn", "res", "dense"]
)
def test_known_nets_take_pairs(net):
    run = run_of(net, torch.randn(2, 3, 32, 32))
    assert flow(net, torch.randn(2, 3, 32, 32)).method == "pairs"
    assert run.pairs().value == pytest.approx(backward(run), rel=1e-13)


class Lambda(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.first, self.function, self.second = nn.Conv2d(3, 4, 3), function, nn.Conv2d(4, 2, 3)

    def forward(self, x):
        return self.second(self.function(self.first(x))).mean((2, 3))


class Reversed(torch.autograd.Function):
    """Its derivative is not that of its forward."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return -2 * gradient


def overwritten(x):
    y = x[:, :2]
    y += 1
    return x


def under_no_grad(x):
    with torch.no_grad():
        y = x.relu()
    return x + y


UNKNOWN = {
    "negative": lambda x: F.relu(1 - x),
    "subtraction": lambda x: F.relu(x - 0.1),
    "negative number": lambda x: F.relu(x + -0.1),
    "negative constant": lambda x: F.relu(x + torch.full_like(x, -0.1)),
    "negative factor": lambda x: (-1.0 * x).relu() + x,
    "factor of both signs": lambda x: x * torch.linspace(-1, 1, 6, dtype=torch.float64),
    "product": lambda x: x * x,
    "division": lambda x: x / (1 + x),
    "relu6": F.relu6,
    "silu": lambda x: F.silu(x, inplace=True),
    "gelu": F.gelu,
    "tanh": torch.tanh,
    "sigmoid": lambda x: x * x.mean((2, 3), keepdim=True).sigmoid(),
    "softmax": lambda x: x.softmax(1),
    "layer norm": lambda x: F.layer_norm(x, x.shape[1:]),
    "group norm": lambda x: F.group_norm(x, 2),
    "negative padding": lambda x: F.pad(x, (1, 1), value=-1.0).relu(),
    "bicubic": lambda x: F.interpolate(x, scale_factor=2, mode="bicubic"),
    "scaled sum": lambda x: torch.add(x, x.relu(), alpha=-0.5),
    "cast": lambda x: x.float().relu().double(),
    "view written to": overwritten,
    "detached": lambda x: x + x.detach(),
    "through numpy": lambda x: x + torch.from_numpy(x.detach().numpy()),
    "no_grad": under_no_grad,
    "own derivative": Reversed.apply,
    "into another's memory": lambda x: torch.sum(x, 1, keepdim=True, out=x.new_empty(0)) + x,
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_has_no_rule_takes_the_backward_pass(name):
    net = Lambda(UNKNOWN[name])
    run = run_of(net)
    assert run.pairs() is None
    try:
        expected = backward(run)
    except RuntimeError:
        assert name == "into another's memory"  # which has no derivative
        return
    got = flow(net)
    assert got.method == "backward"
    assert got.value == expected


def test_weights_that_are_changed_on_the_way_are_not_taken_for_weights():
    class Standardised(nn.Conv2d):
        def forward(self, x):
            return F.conv2d(x, self.weight * self.weight, self.bias)

    net = nn.Sequential(Standardised(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2))
    got = flow(net)
    assert got.method == "backward"
    assert got.value == backward(run_of(net))


def test_dropout_drops_the_same_numbers_in_all_ways():
    net = Lambda(lambda x: F.dropout(F.dropout(x, 0.5), 0.3, True, True))
    run = run_of(net)
    expected = backward(run)
    assert run.pairs().value == pytest.approx(expected, rel=1e-13)
    torch.manual_seed(3)
    assert run.pairs().value != pytest.approx(expected)


def test_tied_weights_count_once_a_module():
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 3))
    net[2].weight = net[0].weight
    run = run_of(net, torch.randn(2, 4))
    assert run.pairs().value == pytest.approx(backward(run), rel=1e-13)


class NormAct(nn.BatchNorm2d):
    """As timm has it: normalisation and activation in one module."""

    def forward(self, x):
        return F.silu(super().forward(x))


def test_every_batchnorm_is_removed():
    conv, linear = nn.Conv2d(3, 4, 3), nn.Linear(4, 2)
    pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    without = nn.Sequential(conv, nn.SiLU(), pool, linear)
    expected = flow(without).value
    assert flow(nn.Sequential(conv, NormAct(4), pool, linear)).value == pytest.approx(expected, rel=1e-13)
    functional = Lambda(lambda x: F.batch_norm(x, None, None, training=True))
    removed = Lambda(lambda x: x)
    removed.load_state_dict(functional.state_dict())
    assert flow(functional).value == pytest.approx(flow(removed).value, rel=1e-13)


def test_synchronised_batchnorm_runs_on_any_device():
    net = small_cnn()
    synchronised = nn.SyncBatchNorm.convert_sync_batchnorm(small_cnn())
    synchronised.load_state_dict(net.state_dict())
    names = ["synflow", "synflow_bn"]
    batch = image_batch(dtype=torch.float32)
    got, expected = (score(one, batch, names) for one in (synchronised, net))
    assert [got[n].value for n in names] == [expected[n].value for n in names]


def test_batchnorm_of_one_value_is_no_obstacle():
    net = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 3))
    result = score(net, (torch.randn(6, 4), torch.arange(6) % 3), ["synflow", "synflow_bn"])
    assert result["synflow"].status == "ok"
    assert result["synflow_bn"].status == "undefined"
    assert "one value a channel" in result["synflow_bn"].reason


def test_preactivation_shortcut_survives_inplace_relu():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.conv, self.relu = nn.BatchNorm2d(3), nn.Conv2d(3, 3, 3, padding=1), nn.SiLU(inplace=True)

        def forward(self, x):
            return x + self.conv(self.relu(self.norm(x)))

    net = nn.Sequential(nn.Conv2d(3, 3, 1), Block(), nn.Flatten(), nn.Linear(192, 2))
    plain = nn.Sequential(nn.Conv2d(3, 3, 1), Block(), nn.Flatten(), nn.Linear(192, 2))
    plain.load_state_dict(net.state_dict())
    plain[1].relu.inplace = False
    assert flow(net).value == pytest.approx(flow(plain).value, rel=1e-13)


def test_buffers_of_the_state_are_made_positive_and_others_are_not():
    class Table(nn.Module):
        def __init__(self, persistent):
            super().__init__()
            self.register_buffer("table", torch.full((4,), -2.0), persistent=persistent)
            self.layer = nn.Linear(4, 2, bias=False)

        def forward(self, x):
            return self.layer(x * self.table)

    saved, other = Table(True), Table(False)
    other.layer.load_state_dict(saved.layer.state_dict())
    inputs = torch.randn(2, 4)
    signed = [score(net, (inputs, torch.zeros(2)), [synflow(signed=True)]) for net in (saved, other)]
    one, another = (next(iter(result.values())).value for result in signed)
    assert one == -another > 0
    assert flow(saved, inputs).value == flow(other, inputs).value == one


@pytest.mark.parametrize(("depth", "factor", "sign"), [(60, 1e6, 1), (60, 1e-8, -1)])
def test_logarithm_outside_float64(depth, factor, sign):
    """The net multiplies by the same number again and again."""
    layers = []
    for _ in range(depth):
        layer = nn.Linear(8, 8)
        nn.init.constant_(layer.weight, factor)
        nn.init.zeros_(layer.bias)
        layers += [layer, nn.ReLU()]
    net = nn.Sequential(*layers)
    result = score(net, (torch.ones(1, 8), torch.zeros(1, dtype=torch.long)), ["synflow"], per_layer=False)["synflow"]
    factor64 = torch.tensor(factor).double().item()  # the weights are float32
    assert result.status == "ok"
    assert result.log_value == pytest.approx(depth * math.log(8 * factor64) + math.log(8 * depth), rel=1e-12)
    assert result.value == (math.inf if sign > 0 else 0.0)
    per_layer = score(net, (torch.ones(1, 8), torch.zeros(1, dtype=torch.long)), ["synflow"], per_layer=True)["synflow"]
    assert per_layer.log_value == pytest.approx(result.log_value, rel=1e-12)


def test_logarithm_with_biases_agrees_across_the_scale():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))
    run = run_of(net)
    assert run.pairs_once(2.0**-1000) == run.pairs_once(1.0) * 2.0**-1000


@pytest.mark.parametrize(
    "build", [lambda: ResNet((3, 8, 36, 3)), lambda: DenseNet((6, 12, 48, 32))], ids=["resnet152", "densenet201"]
)
@pytest.mark.slow
def test_deep_nets_have_a_finite_logarithm(build):
    with torch.no_grad():
        net = build()
    batch = torch.randn(1, 3, 224, 224), torch.zeros(1, dtype=torch.long)
    result = score(net, batch, ["synflow"])["synflow"]
    assert result.status == "ok"
    assert 100 < result.log_value < 1000
    for parameter in net.parameters():  # as if every layer were eight times as wide
        if parameter.dim() > 1:
            parameter.data.mul_(8)
    scaled = score(net, (batch[0][..., :64, :64], batch[1]), ["synflow"])["synflow"]
    assert scaled.value == math.inf
    assert math.isfinite(scaled.log_value)


def test_tokens_enter_at_their_embedding():
    net = Tokens()
    tokens = torch.randint(11, (2, 7))
    run = run_of(net, tokens)
    assert flow(net, tokens).value == pytest.approx(backward(run), rel=1e-12)
    double = Tokens().double()
    double.load_state_dict(net.state_dict())
    with torch.no_grad():
        for parameter in double.parameters():
            parameter.abs_()
    hidden = double.encoder(double.position(torch.arange(7))[None] + 1.0)
    (gradient,) = torch.autograd.grad(double.head(hidden.mean(1)).sum(), double.head.weight)
    got = score(net, (tokens, torch.zeros(2, dtype=torch.long)), ["synflow"], per_layer=True)["synflow"]
    assert got.per_layer[-1].item() == pytest.approx((double.head.weight * gradient).abs().sum().item(), rel=1e-12)


@pytest.mark.parametrize("name", ["nasbench101", "nasbench201"])
def test_the_networks_of_the_spaces_flow_as_pairs(name):
    space = named_space(name)
    small = {"stem_channels": 8, "modules": 1}
    cells = space.sample(20, torch.Generator().manual_seed(3))
    for row in range(len(cells)):
        net = space.build(cells[row], generator=torch.Generator().manual_seed(row), **small)
        result = flow(net)
        assert result.method == "pairs" or result.value == 0  # what no input reaches is no pair
