"""Hessian products by the tangents of a forward pass, against the gradient of a gradient."""

import os
import subprocess
import sys

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F  # noqa: N812

import zcfast.passes.hessian_product as ways
from tests.proxies.example_nets import image_batch, small_cnn
from zcfast.passes.tangent import COMPARED
from zcfast.scoring import score


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(3)


@pytest.fixture
def calls(monkeypatch):
    """Which of the two ways ran, in order."""
    ran = []
    for name in ("hessian_products", "double_backward"):
        monkeypatch.setattr(ways, name, _noting(ran, name, getattr(ways, name)))
    return ran


def _noting(ran, name, function):
    def run(*args):
        result = function(*args)
        ran.append(name)
        return result

    return run


class Apply(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


IMAGES = {
    "relu": torch.relu,
    "Tensor.relu": lambda x: x.relu(),
    "relu in place": lambda x: F.relu(x * 1, inplace=True),
    "relu_": lambda x: F.relu_(x * 1),
    "Tensor.relu_": lambda x: (x * 1).relu_(),
    "hardtanh": F.hardtanh,
    "leaky_relu": F.leaky_relu,
    "elu": F.elu,
    "hardswish": F.hardswish,
    "gelu": F.gelu,
    "gelu, tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "sigmoid": torch.sigmoid,
    "Tensor.sigmoid": lambda x: x.sigmoid(),
    "tanh": torch.tanh,
    "Tensor.tanh": lambda x: x.tanh(),
    "dropout": lambda x: F.dropout(x, 0.3),
    "pad": lambda x: F.pad(x, (1, 0, 2, 1)),
    "pad, reflect": lambda x: F.pad(x, (1, 1, 1, 1), mode="reflect"),
    "avg_pool2d": lambda x: F.avg_pool2d(x, 3, 1, 1, count_include_pad=False),
    "max_pool2d": lambda x: F.max_pool2d(x, 3, 1, 1),
    "adaptive_avg_pool2d": lambda x: F.adaptive_avg_pool2d(x, 3),
    "adaptive_max_pool2d": lambda x: F.adaptive_max_pool2d(x, 3),
    "avg_pool1d": lambda x: F.avg_pool1d(x.flatten(2), 3),
    "max_pool1d": lambda x: F.max_pool1d(x.flatten(2), 3),
    "adaptive_avg_pool1d": lambda x: F.adaptive_avg_pool1d(x.flatten(2), 5),
    "avg_pool3d": lambda x: F.avg_pool3d(x.unsqueeze(1), 2),
    "max_pool3d": lambda x: F.max_pool3d(x.unsqueeze(1), 2),
    "adaptive_avg_pool3d": lambda x: F.adaptive_avg_pool3d(x.unsqueeze(1), 2),
    "interpolate": lambda x: F.interpolate(x, scale_factor=2, mode="nearest"),
    "interpolate, bilinear": lambda x: F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False),
    "matmul": lambda x: torch.matmul(x, x.transpose(2, 3)),
    "Tensor.matmul": lambda x: x @ x,
    "add": lambda x: torch.add(x, x.tanh()) + 1,
    "add_": lambda x: (x * 1).add_(x.tanh()),
    "sub": lambda x: torch.sub(x, x.tanh()) - x.sigmoid(),
    "mul": lambda x: torch.mul(x, x.tanh()) * x * 2,
    "div": lambda x: x.tanh() / (2 + x.sigmoid()),
    "neg": lambda x: -x.tanh(),
    "cat": lambda x: torch.cat([x, x.tanh()], 1),
    "flatten": lambda x: torch.flatten(x.tanh(), 2).unsqueeze(1),
    "views": lambda x: x.tanh().permute(0, 2, 3, 1).contiguous().view(6, -1, 4).reshape(6, 4, -1).transpose(1, 2),
    "chunk": lambda x: x.chunk(2, 1)[0] * x.chunk(2, 1)[1].tanh(),
    "split": lambda x: x.split(2, 1)[0] * x.split(2, 1)[1].tanh(),
    "getitem": lambda x: x[:, 1:3].tanh() + x[:, [0, 2]],
    "squeeze": lambda x: x[:, :1].tanh().squeeze(1),
    "mean": lambda x: torch.mean(x.tanh(), 1, keepdim=True) * x.tanh().mean((2, 3), keepdim=True),
    "sum": lambda x: torch.sum(x.tanh(), 1, keepdim=True) * x.tanh().sum((2, 3), keepdim=True),
    "clone": lambda x: x.tanh().clone(),
    "zeros_like": lambda x: torch.zeros_like(x) + x.tanh(),
    "sizes": lambda x: x.tanh().view(x.size(0), x.shape[1], x.numel() // (6 * x.shape[-3])) * x.dim(),
}


SEQUENCES = {
    "conv1d": lambda: nn.Conv1d(3, 4, 3),
    "conv2d": lambda: nn.Sequential(Apply(lambda x: x.unsqueeze(3)), nn.Conv2d(3, 4, (3, 1), stride=2, bias=False)),
    "conv3d": lambda: nn.Sequential(Apply(lambda x: x.unsqueeze(3).unsqueeze(4)), nn.Conv3d(3, 4, (3, 1, 1))),
    "linear": lambda: nn.Linear(64, 4),
}


def to_five_logits(x):
    return F.adaptive_avg_pool1d(x.reshape(6, -1).unsqueeze(1), 5).squeeze(1)


def with_operation(function):
    first, second = nn.Conv2d(3, 4, 3, padding=1), nn.LazyLinear(9)
    net = nn.Sequential(first, Apply(function), Apply(lambda x: x.reshape(6, -1)), second, Apply(to_five_logits))
    net(image_batch(dtype=torch.float32)[0])
    return net.double()


def by_double_backward(monkeypatch, net, batch):
    monkeypatch.setattr("zcfast.passes.tangent.COMPARED", frozenset())
    return score(net, batch, ["grasp"], per_layer=True)["grasp"]


def check_against_double_backward(net, monkeypatch, calls):
    batch = image_batch()
    got = score(net, batch, ["grasp"], per_layer=True)["grasp"]
    assert (got.status, calls) == ("ok", ["hessian_products"]), got.reason
    expected = by_double_backward(monkeypatch, net, batch)
    assert calls == ["hessian_products", "double_backward"]
    assert expected.value != 0
    scale = expected.per_layer.abs().max()
    assert torch.allclose(got.per_layer, expected.per_layer, rtol=1e-9, atol=1e-12 * scale)


@pytest.mark.parametrize("name", IMAGES)
def test_operation(name, monkeypatch, calls):
    check_against_double_backward(with_operation(IMAGES[name]), monkeypatch, calls)


@pytest.mark.parametrize("name", SEQUENCES)
def test_layer(name, monkeypatch, calls):
    layer = SEQUENCES[name]()
    net = nn.Sequential(Apply(lambda x: x.flatten(2)), layer, nn.Tanh(), Apply(to_five_logits), nn.Linear(5, 5))
    check_against_double_backward(net.double(), monkeypatch, calls)


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("running", [True, False])
def test_batchnorm(affine, running, monkeypatch, calls):
    net = small_cnn().double()
    for index in (1, 5):
        net[index] = nn.BatchNorm2d(net[index].num_features, affine=affine, track_running_stats=running).double()
        if affine:
            nn.init.normal_(net[index].weight, 1, 0.3)
            nn.init.normal_(net[index].bias)
    check_against_double_backward(net, monkeypatch, calls)


def test_batchnorm_of_features(monkeypatch, calls):
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 9), nn.BatchNorm1d(9), nn.GELU(), nn.Linear(9, 5)).double()
    check_against_double_backward(net, monkeypatch, calls)


class Doubled(torch.autograd.Function):
    """A custom function with a forward derivative, which need not be differentiable."""

    @staticmethod
    def forward(ctx, x):
        return 2 * x

    @staticmethod
    def backward(ctx, g):
        return 2 * g

    @staticmethod
    def jvp(ctx, t):
        return 2 * t


def hooked(x):
    x = x.tanh()
    if x.requires_grad:
        x.register_hook(lambda g: 2 * g)
    return x


def without_gradients(x):
    with torch.no_grad():
        factor = x.sigmoid()
    return x.tanh() * factor


@torch.jit.script
def scripted(x):
    return x.tanh().tanh() * x.sigmoid()


@torch.jit.script
def scripted_norm(x):
    return torch.layer_norm(x, list(x.shape[1:]))


@torch.jit.script
def scripted_batch_norm(x):
    return F.batch_norm(x, None, None, training=True)


@torch.jit.script
def scripted_detach(x):
    return x.tanh() * x.sigmoid().detach()


@torch.jit.script
def scripted_in_place(x):
    return x.relu_()


OTHERWISE = {
    "scripted function": scripted,
    "scripted layer norm": scripted_norm,
    "scripted batch norm": scripted_batch_norm,
    "scripted detach": scripted_detach,
    "layer norm": lambda x: F.layer_norm(x, x.shape[1:]),
    "group norm": lambda x: F.group_norm(x, 2),
    "instance norm": F.instance_norm,
    "softmax": lambda x: F.softmax(x, 1),
    "batch norm in evaluation": lambda x: F.batch_norm(x, 0.1 * torch.ones(4).to(x), torch.ones(4).to(x)),
    "detach": lambda x: x.tanh() * x.sigmoid().detach(),
    "data": lambda x: x.tanh() * x.sigmoid().data,
    "no_grad": without_gradients,
    "custom function": lambda x: Doubled.apply(x.tanh()),
    "hook on a gradient": hooked,
}


@pytest.mark.parametrize("name", OTHERWISE)
def test_takes_the_other_way(name, monkeypatch, calls):
    net, batch = with_operation(OTHERWISE[name]), image_batch()
    for _ in range(3):  # torch compiles scripted functions once they have run
        net(batch[0])
    got = score(net, batch, ["grasp"])["grasp"]
    assert calls == ["double_backward"]
    assert got.value == by_double_backward(monkeypatch, net, batch).value


IMPORTS = """
import sys
import torch, zcfast
from tests.proxies.example_nets import Tokens
from tests.passes.test_tangent import (
    IMAGES, SEQUENCES, Apply, image_batch, nn, small_cnn, to_five_logits, with_operation
)
nets = {"small": small_cnn().double(), **{name: with_operation(each) for name, each in IMAGES.items()}}
for name, each in SEQUENCES.items():
    parts = Apply(lambda x: x.flatten(2)), each(), nn.Tanh(), Apply(to_five_logits), nn.Linear(5, 5)
    nets[name] = nn.Sequential(*parts).double()
before = set(sys.modules)
for name, net in nets.items():
    assert zcfast.score(net, image_batch(), ["grasp"])["grasp"].method == "tangents", name
    assert "torch._dynamo" not in sys.modules, name
zcfast.score(Tokens(), (torch.randint(11, (6, 5)), torch.arange(6) % 3), ["grasp"])
print(len(set(sys.modules) - before))
"""


def test_the_first_grasp_of_a_process_imports_next_to_nothing(tmp_path):
    """Forward derivatives ask for rules in Python where an operand has no tangent, which import 800 modules."""
    paths = os.pathsep.join(sys.path)
    command, environment = [sys.executable, "-c", IMPORTS], {**os.environ, "PYTHONPATH": paths}
    ran = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) < 30


def test_a_loss_of_the_weights_takes_the_other_way(calls):
    net = small_cnn().double()
    got = score(net, image_batch(), ["grasp"], loss_fn=lambda y, t: F.cross_entropy(y, t) + net[0].weight.pow(3).sum())
    assert (got["grasp"].status, calls) == ("ok", ["double_backward"])


def test_every_compared_operation_is_tested_here():
    """By its name: each is in the tables above or gives no tensor of the net's values."""
    tested = {name.split(",")[0].removeprefix("Tensor.") for name in (*IMAGES, *SEQUENCES)}
    tested |= {"permute", "contiguous", "view", "reshape", "transpose", "unsqueeze", "__getitem__", "__get__"}
    tested |= {"size", "dim", "numel", "is_contiguous", "device", "fn", "_max_pool1d"}
    missing = {function.__name__ for function in COMPARED} - tested
    assert not missing


def test_a_script_that_writes_in_place_behind_a_batch_norm():
    torch.manual_seed(0)
    norm, head = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)), nn.Sequential(nn.Flatten(), nn.Linear(144, 3))
    batch = torch.randn(5, 3, 8, 8), torch.arange(5) % 3
    net, plain = (nn.Sequential(norm, each, head) for each in (Apply(scripted_in_place), nn.ReLU(inplace=True)))
    expected = score(plain, batch, ["grasp"])["grasp"].value
    assert score(net, batch, ["grasp"])["grasp"].value == pytest.approx(expected, rel=1e-4)
