"""What a net calls on pairs gives the same by its rule at once and by way of torch's dispatcher."""

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F  # noqa: N812

from zcfast.tracing.pair_functions import PairFunctions
from zcfast.tracing.pairs import CountedWeight, Pair, UnsupportedError

GENERATOR = torch.Generator().manual_seed(0)


def drawn(*shape):
    return torch.rand(shape, generator=GENERATOR, dtype=torch.float64)


WEIGHT, SAME, BIAS = CountedWeight(drawn(6, 4, 3, 3) - 0.5, 1), CountedWeight(drawn(4, 4, 3, 3) - 0.5, 2), drawn(6)
GROUPED, MATRIX = CountedWeight(drawn(4, 2, 1, 1), 1), CountedWeight(drawn(5, 8), 1)


def other(x):
    """A pair of another depth than the known one."""
    return Pair(drawn(1, *x.shape), 1.0, 3)


def added(x, y):
    x += y
    return x


DIRECT = {
    "conv2d": lambda x: F.conv2d(x, WEIGHT, None, 1, 1),
    "conv2d with bias": lambda x: F.conv2d(x, WEIGHT, BIAS, padding=(1, 0)),
    "conv2d with stride": lambda x: F.conv2d(x, WEIGHT, stride=2, dilation=(2, 1)),
    "conv2d in groups": lambda x: F.conv2d(x, GROUPED, groups=2),
    "conv2d by a constant": lambda x: F.conv2d(x, drawn(2, 4, 3, 3)),
    "relu": lambda x: F.relu(x),
    "relu in place": lambda x: F.relu(x, inplace=True),
    "torch.relu": lambda x: torch.relu(x).relu(),
    "sum": lambda x: x + x,
    "sum of another depth": lambda x: x + other(x),
    "sum with a number": lambda x: x + 2,
    "sum with a constant": lambda x: torch.add(x, drawn(1, 4, 1, 1)),
    "sum of a list": lambda x: sum([x, other(x)]),
    "sum in place": lambda x: added(x.relu(), other(x)),
    "avg_pool2d": lambda x: F.avg_pool2d(x, 3, 1, 1, count_include_pad=False),
    "avg_pool2d of halves": lambda x: F.avg_pool2d(x, 2),
    "AvgPool2d": nn.AvgPool2d((3, 2), stride=(2, 1), padding=1, ceil_mode=True, divisor_override=5),
    "max_pool2d": lambda x: F.max_pool2d(x, 2),
    "MaxPool2d": nn.MaxPool2d(3, 2, 1, dilation=1, ceil_mode=True),
    "AdaptiveAvgPool2d": nn.AdaptiveAvgPool2d(1),
    "adaptive_avg_pool2d": lambda x: F.adaptive_avg_pool2d(x, (1, 1)),
    "mean": lambda x: x.mean((2, 3), keepdim=True) + torch.mean(x, dim=-1, keepdim=True),
    "mean of one dimension": lambda x: x.mean(1),
    "flatten": lambda x: torch.flatten(x, 1) + x.flatten(1),
    "view": lambda x: x.view(len(x), 2, -1) + x.view((len(x), 2, -1)),
    "linear": lambda x: F.linear(x.mean(-1).flatten(1)[:, :8], MATRIX, drawn(5)),
    "linear without bias": lambda x: F.linear(x.mean(-1).flatten(1)[:, :8], MATRIX),
    "slices": lambda x: x[:, :2] + x[:, 1::2][:],
    "cat": lambda x: torch.cat([x, x], 1),
    "cat of depths": lambda x: torch.cat((x, other(x)), dim=-3),
    "batch_norm": lambda x: F.batch_norm(x, None, None, training=True),
}
ONWARD = {
    "conv2d padded to the same": lambda x: F.conv2d(x, SAME, padding="same"),
    "conv2d without samples": lambda x: F.conv2d(x[0], WEIGHT),
    "max_pool2d with indices": lambda x: F.max_pool2d(x, 2, return_indices=True)[0],
    "max_pool2d without samples": lambda x: F.max_pool2d(x[0], 2),
    "adaptive_avg_pool2d to more": lambda x: F.adaptive_avg_pool2d(x, 2),
    "mean of all": lambda x: x.mean()[None],
    "flatten of all": lambda x: x.flatten()[None],
    "one sample": lambda x: x[0],
    "linear of maps": lambda x: F.linear(x[..., :4].contiguous(), CountedWeight(drawn(3, 4), 1)),
    "sum with a pair behind a constant": lambda x: drawn(1, 4, 1, 1) + x,
}


def pair(known):
    return Pair(drawn(1, 2, 4, 6, 5), 1.0, 2) if known else Pair(drawn(2, 2, 4, 6, 5), 1.0, None)


def run(function, known, monkeypatch=None):
    dispatched = []
    if monkeypatch is not None:
        original = Pair.__torch_dispatch__.__func__
        monkeypatch.setattr(
            Pair,
            "__torch_dispatch__",
            classmethod(lambda cls, func, *rest: dispatched.append(func) or original(cls, func, *rest)),
        )
    GENERATOR.manual_seed(1)
    x = pair(known)
    with PairFunctions(lambda y: y):
        got = function(x)
    return got, dispatched


@pytest.mark.parametrize("known", [True, False], ids=["one depth", "depths"])
@pytest.mark.parametrize("name", [*DIRECT, *ONWARD])
def test_the_dispatcher_gives_the_same(name, known, monkeypatch):
    function = DIRECT.get(name) or ONWARD[name]
    got, dispatched = run(function, known, monkeypatch)
    assert bool(dispatched) == (name in ONWARD)
    monkeypatch.setattr("zcfast.tracing.pair_functions._FUNCTIONS", {})
    right, dispatched = run(function, known, monkeypatch)
    assert dispatched or name == "batch_norm"
    assert got.shape == right.shape
    assert got.depth == right.depth
    assert torch.equal(got.both(), right.both())


@pytest.mark.parametrize("name", DIRECT)
def test_a_known_depth_stands_for_the_tangent(name):
    written_out = {}
    for known in (True, False):
        GENERATOR.manual_seed(1)
        x = Pair(drawn(1, 2, 4, 6, 5), 1.0, 2)
        with PairFunctions(lambda y: y):
            written_out[known] = DIRECT[name](x if known else Pair(x.both(), 1.0, None)).both()
    assert torch.allclose(written_out[True], written_out[False], rtol=1e-13, atol=0)


@pytest.mark.parametrize("known", [True, False])
def test_what_has_no_derivative_or_needs_another_is_refused(known):
    weight = drawn(2, 4, 1, 1).requires_grad_()
    for function in (
        lambda x: F.conv2d(x, weight),
        lambda x: x + weight[:1],
        lambda x: x + drawn(2, 2, 4, 6, 5)[:, :1] - 2,
        lambda x: F.conv2d(x, -drawn(2, 4, 1, 1)),
        lambda x: added(x[:, :2], x[:, 2:]),
        torch.no_grad()(lambda x: x + x),
    ):
        with pytest.raises(UnsupportedError):
            run(function, known)
