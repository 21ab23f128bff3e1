"""What functions of torch give on pairs, against torch's own directional derivatives."""

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F  # noqa: N812

from zcfast.passes.flow import pair_rules
from zcfast.passes.flow.pairs import RULES, CountedWeight, Pair, PairRules
from zcfast.passes.opaque import UnsupportedError

SHAPES = {
    "filters": (6, 4, 3, 3),
    "square": (4, 4, 3, 3),
    "grouped": (4, 2, 1, 1),
    "point": (6, 4, 1, 1),
    "upward": (4, 3, 2, 2),
    "line": (6, 4, 3),
    "up line": (4, 3, 2),
    "volume": (2, 4, 1, 2, 2),
    "up volume": (4, 2, 1, 2, 2),
    "matrix": (7, 5),
}
COUNT = 2


def drawn(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(shape, generator=generator, dtype=torch.float64)


def added(x, y):
    x += y
    return x


LINEAR = {
    "view": lambda x: x.view(2, 2, -1),
    "view of a size": lambda x: x.view((2, 2, -1)),
    "reshape": lambda x: x.reshape(2, -1) + torch.reshape(x, (2, -1)),
    "flatten": lambda x: torch.flatten(x, 1) + x.flatten(1),
    "unflatten": lambda x: x.unflatten(1, (2, 2)),
    "permute": lambda x: x.permute(0, 2, 3, 1),
    "transpose": lambda x: x.transpose(1, -1) + torch.swapaxes(x, 1, 3) + x.movedim(1, 3).transpose(1, 2),
    "t": lambda x: x.flatten(1).t(),
    "unsqueeze": lambda x: x.unsqueeze(1).squeeze(1) + torch.squeeze(torch.unsqueeze(x, 0), 0),
    "expand": lambda x: x[:, :1].expand(-1, 3, -1, -1),
    "select": lambda x: x.select(1, 2) + x.narrow(1, 0, 1).squeeze(1),
    "chunk": lambda x: x.chunk(2, 1)[1] + torch.split(x, [2, 2], 1)[0] + x.split(2, 1)[1],
    "unbind": lambda x: x.unbind(1)[3] + torch.unbind(x, 1)[0],
    "index": lambda x: x[:, 1::2] + x[:, [0, 2]] + x[:, :2, ...],
    "contiguous": lambda x: x.permute(0, 2, 3, 1).contiguous(),
    "clone": lambda x: x.clone() + torch.clone(x),
    "clone in another format": lambda x: x.clone(memory_format=torch.channels_last) + x,
    "flip": lambda x: x.flip(2).roll(1, 3),
    "tile": lambda x: x.repeat(1, 2, 1, 1) + torch.tile(x, (1, 2, 1, 1)),
    "zeros_like": lambda x: torch.zeros_like(x) + x,
    "mean": lambda x: x.mean((2, 3), keepdim=True) + torch.mean(x, dim=-1, keepdim=True),
    "mean of all": lambda x: x.mean() + x.sum(),
    "sum": lambda x: x.sum(1) + torch.sum(x, dim=1),
    "relu": lambda x: F.relu(x) + torch.relu(x) + x.relu(),
    "relu in place": lambda x: F.relu(x * 1, inplace=True) + x.clone().relu_(),
    "sum with itself": lambda x: x + x,
    "sum of a list": lambda x: sum([x, 2 * x]),
    "sum in place": lambda x: added(x.relu(), 3.0 * x) + x,
    "factor": lambda x: 2 * x * 0.5 + x.mul(0.0) + x / 3 + torch.div(x, 2),
    "constant factor": lambda x: x * drawn(1, 4, 1, 1) + torch.mul(drawn(6, 5), x),
    "cat": lambda x: torch.cat([x, x.relu()], 1) + torch.cat((x, x), dim=-3),
    "stack": lambda x: torch.stack([x, x], 1),
    "pad": lambda x: F.pad(x, (1, 2, 0, 1)),
    "pad by reflection": lambda x: F.pad(x, (1, 2, 0, 1), mode="reflect"),
    "interpolate": lambda x: F.interpolate(x, scale_factor=2),
    "interpolate linearly": lambda x: F.interpolate(x, (9, 7), mode="bilinear", align_corners=False),
    "pixel_shuffle": lambda x: F.pixel_unshuffle(F.pixel_shuffle(x, 2), 2) + F.channel_shuffle(x, 2),
    "avg_pool1d": lambda x: F.avg_pool1d(x.flatten(2), 3),
    "avg_pool2d": lambda x: F.avg_pool2d(x, 3, 1, 1, count_include_pad=False),
    "avg_pool2d of padding": lambda x: F.avg_pool2d(x, 3, 1, 1, count_include_pad=True),
    "avg_pool2d without samples": lambda x: F.avg_pool2d(x[0], 2),
    "AvgPool2d": nn.AvgPool2d((3, 2), stride=(2, 1), padding=1, ceil_mode=True, divisor_override=5),
    "avg_pool3d": lambda x: F.avg_pool3d(x, 2),
    "adaptive_avg_pool1d": lambda x: F.adaptive_avg_pool1d(x.flatten(2), 4),
    "adaptive_avg_pool2d": lambda x: F.adaptive_avg_pool2d(x, 2),
    "AdaptiveAvgPool2d": nn.AdaptiveAvgPool2d(1),
    "adaptive_avg_pool3d": lambda x: F.adaptive_avg_pool3d(x, 1),
    "max_pool1d": lambda x: F.max_pool1d(x.flatten(2), 3),
    "MaxPool2d": nn.MaxPool2d(3, 2, 1, dilation=1, ceil_mode=True),
    "max_pool2d without samples": lambda x: F.max_pool2d(x[0], 2),
    "max_pool3d": lambda x: F.max_pool3d(x.unsqueeze(1), 2),
    "adaptive_max_pool1d": lambda x: F.adaptive_max_pool1d(x.flatten(2), 4),
    "adaptive_max_pool2d": lambda x: F.adaptive_max_pool2d(x, 2),
    "adaptive_max_pool3d": lambda x: F.adaptive_max_pool3d(x.unsqueeze(1), 2),
    "batch_norm": lambda x: x,
}
WEIGHTED = {
    "conv2d": lambda x, w: F.conv2d(x, w["filters"], None, 1, 1),
    "conv2d twice": lambda x, w: F.conv2d(F.conv2d(x, w["square"], padding=1), w["filters"]),
    "conv2d with stride": lambda x, w: F.conv2d(x, w["filters"], stride=2, dilation=(2, 1)),
    "conv2d in groups": lambda x, w: F.conv2d(x, w["grouped"], groups=2),
    "conv2d padded to the same": lambda x, w: F.conv2d(x, w["square"], padding="same"),
    "conv2d without samples": lambda x, w: F.conv2d(x[0], w["filters"]),
    "conv2d of points": lambda x, w: F.conv2d(x, w["point"]),
    "conv2d by a constant": lambda x, w: F.conv2d(x, drawn(2, 4, 3, 3)),
    "conv1d": lambda x, w: F.conv1d(x.flatten(2), w["line"], None, 2),
    "conv3d": lambda x, w: F.conv3d(x.unsqueeze(2), w["volume"]),
    "conv_transpose1d": lambda x, w: F.conv_transpose1d(x.flatten(2), w["up line"], None, 2),
    "conv_transpose2d": lambda x, w: F.conv_transpose2d(x, w["upward"], stride=2, padding=1, output_padding=1),
    "conv_transpose3d": lambda x, w: F.conv_transpose3d(x.unsqueeze(2), w["up volume"]),
    "linear": lambda x, w: F.linear(x, w["matrix"]),
    "linear of rows": lambda x, w: F.linear(x.mean((1, 2)), w["matrix"]),
    "matmul": lambda x, w: (x @ drawn(5, 3)) + torch.matmul(x, drawn(5, 3)),
    "sum of two depths": lambda x, w: x + F.conv2d(x, w["square"], padding=1),
    "sum of two depths in place": lambda x, w: added(F.conv2d(x, w["square"], padding=1), x),
    "cat of two depths": lambda x, w: torch.cat([x, F.conv2d(x, w["filters"], padding=1)], 1),
    "max of two depths": lambda x, w: F.max_pool2d(x + F.conv2d(x, w["square"], padding=1), 3, 2),
}
CASES = {**{name: lambda x, w, f=f: f(x) for name, f in LINEAR.items()}, **WEIGHTED}


def by_torch(function, value, moved):
    """Value and derivative of the function of the input and the weights, along the tangents of both."""
    weights = {name: drawn(*shape, seed=3) for name, shape in SHAPES.items()}
    tangents = {name: COUNT * weight for name, weight in weights.items()}
    return torch.func.jvp(function, (value, weights), (moved, tangents))


@pytest.mark.parametrize("known", [True, False], ids=["one depth", "depths"])
@pytest.mark.parametrize("name", CASES)
def test_derivative(name, known):
    value = drawn(2, 4, 6, 5)
    moved = 3 * value if known else drawn(2, 4, 6, 5, seed=1)
    expected, tangent = by_torch(CASES[name], value, moved)
    weights = {key: CountedWeight(-drawn(*shape, seed=3), COUNT) for key, shape in SHAPES.items()}
    pair = Pair(value, None, 3, 1.0) if known else Pair(value, moved, None, 1.0)
    with PairRules(torch.Tensor.clone):
        got = CASES[name](pair, weights)
    assert torch.allclose(got.value, expected, rtol=1e-13, atol=0)
    assert torch.allclose(got.tangent, tangent, rtol=1e-12, atol=0)
    assert torch.equal(pair.value, drawn(2, 4, 6, 5))


CONSTANTS = {
    "number": lambda x, s: x + 2 * s,
    "number first": lambda x, s: 0.5 * s + x,
    "tensor": lambda x, s: torch.add(x, s * drawn(1, 4, 1, 1)),
    "larger tensor": lambda x, s: x[:, :1] + s * drawn(2, 4, 6, 5),
    "bias": lambda x, s: F.conv2d(x, drawn(6, 4, 3, 3), s * drawn(6)),
    "bias of a line": lambda x, s: F.conv1d(x.flatten(2), drawn(6, 4, 3), bias=s * drawn(6)),
    "bias of rows": lambda x, s: F.linear(x, drawn(7, 5), s * drawn(7)),
}


@pytest.mark.parametrize("depth", [0, 2, None])
@pytest.mark.parametrize("name", CONSTANTS)
def test_constants_do_not_move_and_are_scaled(name, depth):
    value = drawn(2, 4, 6, 5)
    moved = drawn(2, 4, 6, 5, seed=1) if depth is None else depth * value
    expected, tangent = torch.func.jvp(lambda x: CONSTANTS[name](x, 8.0), (value,), (moved,))
    with PairRules(torch.Tensor.clone):
        got = CONSTANTS[name](Pair(value, moved if depth is None else None, depth, 8.0), 1.0)
    assert torch.allclose(got.value, expected, rtol=1e-13, atol=0)
    assert torch.allclose(got.tangent, tangent, rtol=1e-13, atol=0)


REFUSED = {
    "weight with a gradient": lambda x: F.conv2d(x, drawn(2, 4, 1, 1).requires_grad_()),
    "negative weight": lambda x: F.conv2d(x, -drawn(2, 4, 1, 1)),
    "negative number": lambda x: x - 2,
    "write to a view": lambda x: added(x[:, :2], x[:, 2:]),
    "write below a view": lambda x: (x.flatten(1), added(x, x)),
    "write to more": lambda x: added(x.mean(), x),
    "no_grad": torch.no_grad()(lambda x: x + x),
    "question for a gradient": lambda x: x.requires_grad,
    "question for a node": lambda x: x.grad_fn,
    "cast": lambda x: x.mean(1, dtype=torch.float32),
    "bits": lambda x: x.view(torch.int64),
    "numbers": lambda x: x.numpy(),
    "item": lambda x: x.sum().item(),
    "comparison": lambda x: x > 0,
    "indices": lambda x: F.max_pool2d(x, 2, return_indices=True),
    "operator of torch": lambda x: torch.ops.aten.relu(x),
    "detached": lambda x: x.detach(),
    "data": lambda x: x.data,
    "hook": lambda x: x.register_hook(lambda gradient: gradient),
    "other kind of pad": lambda x: F.pad(x, (1, 1), value=1.0),
    "index by a pair": lambda x: drawn(3)[x],
    "weight on its own": lambda x: CountedWeight(drawn(2), 1) * 2,
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_derivative_or_another_one_is_refused(name):
    with pytest.raises(UnsupportedError), PairRules(torch.Tensor.clone):
        REFUSED[name](Pair(drawn(2, 4, 6, 6), None, 1, 1.0))


def test_no_rule_is_untested():
    """By its name: each is called in the tables above."""
    seen = set()

    class Noted(PairRules):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            seen.add(func)
            return super().__torch_function__(func, types, args, kwargs)

    weights = {key: CountedWeight(drawn(*shape), COUNT) for key, shape in SHAPES.items()}
    with Noted(torch.Tensor.clone):
        for function in CASES.values():
            function(Pair(drawn(2, 4, 6, 5), None, 1, 1.0), weights)
    names = {function.__name__ for function in seen}
    aliases = {"concat", "concatenate", "multiply", "divide", "true_divide", "mm", "dropout", "max_pool2d_with_indices"}
    missing = {name for name in map(_name, RULES) if name.strip("_") not in {each.strip("_") for each in names}}
    assert missing <= aliases
    assert pair_rules  # fills the table


def _name(function):
    return getattr(function, "__name__", str(function))
