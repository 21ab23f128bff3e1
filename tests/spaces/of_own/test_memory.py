"""The memory of activations: known by hand, and that which torch's own allocator reports."""

import json

import pytest
import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

import zcfast
from tests.spaces.of_own.builders import Calls
from zcfast.designing import Design
from zcfast.spaces import ActivationMemory
from zcfast.spaces.own.memory import peak
from zcfast.spaces.own.space import Space

IMAGES = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0)), torch.arange(4)
MAP = 64 * 4  # bytes of one channel


def conv(inputs=3, outputs=3, kernel=1):
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)


def joined(net, x):
    first = net.conv(x)
    return torch.cat([first, torch.sigmoid(first)], 1)


def let_go(net, x):
    x = net.wide(x)
    x = net.narrow(x)
    return net.wide(net.narrow(net.wide(x)))


def own_constants(net, x):
    return x + torch.zeros(1, 5, 8, 8)[:, :3] + net.table.t().sum() + net.plain


def twice_in_place(net, x):
    x = net.conv(x)
    x.relu_().add_(1)
    return x.flatten(1).view(1, 3, 64)[:, 1:]


class Remembers(torch.autograd.Function):
    """Keeps two maps of its own for a backward pass, beside what it returns."""

    @staticmethod
    def forward(ctx, x):
        ctx.first = x + 1
        ctx.second = ctx.first + 1
        return ctx.second + 1

    @staticmethod
    def backward(ctx, gradient):
        return gradient


def remembered(net, x):
    for _ in range(5):
        x = Remembers.apply(x)
    return x


def own_parameter(net, x):
    net.scale.mul_(0.5).add_(1)
    return x * net.scale


plain = Calls(own_constants, table=nn.Parameter(torch.ones(500, 7)))
plain.plain = torch.ones(100_000)[:1]

BY_HAND = {
    "input, sum and what is added": (Calls(lambda net, x: x + net.conv(x), conv=conv()), 9),
    "input, layer, activation": (nn.Sequential(conv(), nn.ReLU()), 9),
    "in place": (nn.Sequential(conv(), nn.ReLU(inplace=True)), 6),
    "dropout of evaluation is nothing": (nn.Sequential(conv(), nn.Dropout(0.5)), 6),
    "normalised anew": (nn.Sequential(conv(), nn.BatchNorm2d(3), nn.ReLU(inplace=True)), 9),
    "two of a chain at once, and the input": (nn.Sequential(conv(3, 3), conv(3, 6), conv(6, 1)), 3 + 3 + 6),
    "two parts and both together": (Calls(joined, conv=conv()), 3 + 3 + 3 + 6),
    "the last three": (Calls(let_go, wide=conv(1, 9), narrow=conv(9, 1)), 1 + 1 + 9 + 1),
    "views and in place": (Calls(twice_in_place, conv=conv()), 6),
    "what is made without the input": (plain, 3 + 5 + 3),
    "normalised after an activation in place": (nn.Sequential(conv(), nn.ReLU(inplace=True), nn.BatchNorm2d(3)), 9),
    "a function that keeps maps for a backward pass": (Calls(remembered), 3 + 3 + 3 + 3 + 3),
    "writes to a parameter": (Calls(own_parameter, scale=nn.Parameter(torch.ones(3, 1, 1))), 6),
    "no layer": (nn.Flatten(), 3),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_what_is_known_by_hand(name):
    net, maps = BY_HAND[name]
    inputs = IMAGES[0][:, :1] if name == "the last three" else IMAGES[0]
    assert peak(net.eval(), inputs) == pytest.approx(maps * MAP, abs=8)  # a sum of weights is one number


def allocated(net, inputs):
    """The most bytes at once that torch's allocator had given, and the input's."""
    samples = [each[:1].clone() for each in inputs]
    with torch.no_grad():
        net(*samples)
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
            net(*samples)
    events = [each for each in profiler.profiler.kineto_results.events() if each.name() == "[memory]"]
    now = most = 0
    for event in sorted(events, key=lambda each: each.start_ns()):
        now += event.nbytes()
        most = max(most, now)
    return most + sum(each.untyped_storage().nbytes() for each in samples)


def attention(net, x):
    x = net.first(x)
    q, k, v = net.qkv(x).chunk(3, -1)
    x = x + (q @ k.transpose(1, 2)).softmax(-1) @ v
    return net.last(net.norm(x)).mean(1)


def dense(net, x):
    maps = [x]
    for layer in (net.first, net.second, net.third):
        maps.append(layer(torch.cat(maps, 1)).tanh())
    return maps[-1].transpose(0, 1).reshape(-1)


LINEAR = {
    "perceptron": (nn.Sequential(nn.Linear(6, 50), nn.ReLU(), nn.Linear(50, 9), nn.GELU(), nn.Linear(9, 2)), (4, 6)),
    "attention": (
        Calls(attention, first=nn.Linear(6, 12), qkv=nn.Linear(12, 36), norm=nn.LayerNorm(12), last=nn.Linear(12, 4)),
        (4, 30, 6),
    ),
    "dense": (Calls(dense, first=nn.Linear(6, 6), second=nn.Linear(6, 6), third=nn.Linear(6, 6)), (4, 5, 6)),
    "pools": (nn.Sequential(nn.AvgPool2d(2), nn.Hardtanh(), nn.AvgPool2d(2), nn.Flatten()), (4, 3, 8, 8)),
}


@pytest.mark.parametrize("name", LINEAR)
def test_what_torchs_allocator_reports(name):
    net, shape = LINEAR[name]
    inputs = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    assert peak(net.eval(), inputs) == allocated(net, [inputs])


def test_attention_has_its_whole_matrix():
    net = Calls(lambda net, q: nn.functional.scaled_dot_product_attention(q, q, q))
    assert peak(net, torch.randn(2, 1, 100, 4)) >= 100 * 100 * 4


def test_layers_that_torch_would_fuse_count_as_what_they_are():
    layer = nn.TransformerEncoderLayer(8, 2, 1000, batch_first=True).eval()
    inputs = torch.randn(2, 10, 8)
    fused = torch.backends.mha.get_fastpath_enabled()
    assert peak(layer, inputs) > 2 * 10 * 1000 * 4  # a hidden layer and its activation
    assert torch.backends.mha.get_fastpath_enabled() == fused


def build(trial):
    width = trial.suggest_int("width", 1, 6)
    act = nn.ReLU(inplace=trial.suggest_categorical("inplace", [True, False]))
    return nn.Sequential(conv(3, width, 3), act, nn.Flatten(), nn.Linear(64 * width, 4))


def expected(text):
    made = json.loads(text)
    return MAP * (3 + made["width"] * (1 if made["inplace"] else 2)) + (16 if made["inplace"] else 0)


@pytest.fixture(scope="module")
def space():
    return Space(build, IMAGES)


def test_it_is_a_limit_a_column_and_something_to_trade_off(space, tmp_path):
    found = zcfast.design(space, by="params", limits={"activation_memory": "2KiB"})
    everything = {text: expected(text) for text in space.format(space.enumerate())}
    assert found.tried["activation_memory"].tolist() == [everything[text] for text in space.format(found.tried.cells)]
    assert sorted(space.format(found.scores.cells)) == sorted(text for text, size in everything.items() if size <= 2048)
    traded = zcfast.design(space, by="params", minimise=["activation_memory"], evaluations=5, sampler="random")
    assert [each.name for each in traded.study.directions] == ["MAXIMIZE"] * 2
    assert min(each.values["activation_memory"] for each in traded.pareto("activation_memory")) == min(
        traded.scores["activation_memory"].tolist()
    )
    found.save(tmp_path / "found.parquet")
    assert Design.load(tmp_path / "found.parquet", space).tried.provenance.columns["activation_memory"].unit == "bytes"
    assert "activation_memory" not in zcfast.design(space, by="params").tried.columns


def test_workers_count_the_same_and_the_module_stays_as_it_was(space):
    net = nn.Sequential(conv(), nn.BatchNorm2d(3)).train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    modules = zcfast.spaces.of({"one": net}, example=IMAGES)
    assert modules.capability(ActivationMemory).activation_memory(modules.enumerate()).tolist() == [9 * MAP]
    assert net.training
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


def test_where_it_is_not_known():
    with pytest.raises(ValueError, match=r"nasbench201: expected a space with the memory of activations"):
        zcfast.design("nasbench201", limits={"activation_memory": 1e6})
    broken = Calls(lambda net, x: net.conv(x.sum()), conv=conv())
    modules = zcfast.spaces.of({"one": broken, "two": conv()}, example=IMAGES)
    with pytest.raises(ValueError, match="modules: no activation memory of one: "):
        modules.capability(ActivationMemory).activation_memory(modules.enumerate())
