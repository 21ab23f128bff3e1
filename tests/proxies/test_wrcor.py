"""wrcor and wrcor_weighted: the published code's values, a plain computation, and where they have none."""

import copy
import math

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F  # noqa: N812
from hypothesis import given, settings
from hypothesis import strategies as st

import zcfast
from tests.golden.modern_cases import build, values
from tests.proxies.example_nets import CONVOLUTIONAL, Tokens, image_batch, small_cnn
from zcfast.passes import ActivationBlocks
from zcfast.proxies import Proxy, wrcor, wrcor_weighted
from zcfast.scoring import score

KINDS = {
    "act_cor": wrcor(of="activations"),
    "grad_cor": wrcor(of="gradients"),
    "act_grad_cor": wrcor(),
    "act_grad_cor_weighted": wrcor_weighted(),
}


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("key", KINDS)
@pytest.mark.parametrize("name", [name for name, _ in values("wrcor_nnrelu_act_cor")])
def test_published_values(name, key, memory_format):
    net, (inputs, targets) = build(name)
    if name.startswith("b_"):
        net.top["lastact"][1].inplace = True  # as the published net has it
    (result,) = score(net, (inputs.contiguous(memory_format=memory_format), targets), [KINDS[key]]).values()
    assert result.value == pytest.approx(dict(values(f"wrcor_nnrelu_{key}"))[name], rel=1e-9)


def plainly(net, inputs, targets, numbers=None, logits=lambda out: out):
    """By hooks on the functions' inputs, kept and differentiated one by one."""
    kept = []

    class See(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            if func in (F.relu, F.relu_, F.gelu, torch.relu, F.silu):
                point = args[0].clone()
                kept.append((point, func is F.relu and (kwargs or {}).get("inplace", False)))
                args = (point.clone(), *args[1:])
            return func(*args, **(kwargs or {}))

    copied = copy.deepcopy(net).double().train()
    with See():
        output = logits(copied(inputs.double() if inputs.is_floating_point() else inputs))
    loss = F.cross_entropy(output, targets)
    gradients = torch.autograd.grad(loss, [point for point, _ in kept])
    kernel = torch.zeros(len(inputs), len(inputs), dtype=torch.float64)
    for place, ((point, inplace), gradient) in enumerate(zip(kept, gradients, strict=True)):
        for each in (point.relu() if inplace else point, gradient):
            matrix = torch.corrcoef(each.detach().flatten(1)).abs()
            if not matrix.isnan().any():
                kernel += matrix * (2 ** numbers[place] if numbers else 1)
    return torch.linalg.slogdet(kernel)[1].item()


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-4)])
@pytest.mark.parametrize("kind", CONVOLUTIONAL)
def test_against_a_plain_computation(kind, dtype, tolerance, memory_format):
    torch.manual_seed(2)
    net, (inputs, targets) = CONVOLUTIONAL[kind]().double(), image_batch(6)
    expected = plainly(net, inputs, targets)
    batch = inputs.to(dtype).contiguous(memory_format=memory_format), targets
    alone = score(net.to(dtype), batch, ["wrcor"])["wrcor"]
    together = score(net, batch, ["fisher", "naswot", "grasp", "wrcor", "jacob_cov", "snip"])["wrcor"]
    assert alone.value == pytest.approx(expected, rel=tolerance)
    assert together.value == pytest.approx(expected, rel=tolerance)


@settings(max_examples=20, deadline=None)
@given(samples=st.integers(2, 7), width=st.integers(2, 6), seed=st.integers(0, 99))
def test_any_shape(samples, width, seed):
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(9, width), nn.GELU(), nn.Linear(width, 7), nn.SiLU(), nn.Linear(7, 3)).double()
    batch = torch.randn(samples, 9).double(), torch.randint(3, (samples,))
    assert score(net, batch, ["wrcor"])["wrcor"].value == pytest.approx(plainly(net, *batch), rel=1e-7, abs=1e-9)


def test_tokens():
    torch.manual_seed(0)
    net, batch = Tokens().double(), (torch.randint(11, (6, 5)), torch.arange(6) % 3)
    expected = plainly(net, *batch, logits=lambda out: out["logits"])
    assert score(net, batch, ["wrcor"])["wrcor"].value == pytest.approx(expected, rel=1e-9)


class Numbers(Proxy):
    """The blocks' numbers, as digits."""

    name, source, sums_layers = "numbers", "", False
    needs = (ActivationBlocks,)

    def value(self, results):
        return float("".join(map(str, results[ActivationBlocks])))


def block(inputs=4, outputs=4):
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()

        def forward(self, x):
            return F.relu(x + self.b(self.a(x))) if inputs == outputs else self.b(self.a(x))

    return Block()


class Functional(nn.Module):
    """Activations and pools between the blocks that are functions."""

    def __init__(self):
        super().__init__()
        self.stem, self.body = nn.Conv2d(3, 4, 3), nn.ModuleList([block(), block()])
        self.head = nn.Linear(4, 5)

    def forward(self, x):
        x = F.relu(self.body[0](F.relu(self.stem(x))))
        return self.head(F.max_pool2d(F.relu(self.body[1](F.max_pool2d(x, 2))), 3).flatten(1))


def head(width):
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 5))


BLOCKS = {
    "rows of layers": (small_cnn, "02"),
    "blocks behind a stem without activation": (
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), block(), block(), nn.ReLU(), *head(4)),
        "00112",
    ),
    "pools and blocks": (lambda: nn.Sequential(block(3), nn.MaxPool2d(2), block(), *head(4)), "022"),
    "one that holds all": (lambda: nn.Sequential(nn.Sequential(block(3), block()), *head(4)), "011"),
    "functions between blocks": (Functional, "0112445"),
}


@pytest.mark.parametrize("kind", BLOCKS)
def test_blocks(kind):
    make, digits = BLOCKS[kind]
    torch.manual_seed(0)
    net, batch = make().double(), image_batch()
    found = score(net, batch, [Numbers(), "wrcor_weighted"])
    assert found["numbers"].value == float(digits)
    expected = plainly(net, *batch, list(map(int, digits)))
    assert found["wrcor_weighted"].value == pytest.approx(expected, rel=1e-9)


POOLS = {
    **{f"{kind}{n}d": getattr(nn, f"{kind}{n}d")(2) for kind in ("MaxPool", "AvgPool") for n in (1, 2, 3)},
    **{
        f"Adaptive{kind}{n}d": getattr(nn, f"Adaptive{kind}{n}d")(2)
        for kind in ("MaxPool", "AvgPool")
        for n in (1, 2, 3)
    },
    **{f"LPPool{n}d": getattr(nn, f"LPPool{n}d")(2, 2) for n in (1, 2, 3)},
    **{f"FractionalMaxPool{n}d": getattr(nn, f"FractionalMaxPool{n}d")(2, output_size=2) for n in (2, 3)},
}


@pytest.mark.parametrize("kind", POOLS)
def test_pools_of_any_kind_end_blocks(kind):
    n = int(kind[-2])
    conv = getattr(nn, f"Conv{n}d")
    row = [conv(3, 4, 3, padding=1), nn.ReLU(), POOLS[kind], nn.ReLU(), conv(4, 4, 3, padding=1), nn.ReLU()]
    net = nn.Sequential(*row, nn.Flatten(), nn.LazyLinear(3)).double()
    batch = torch.randn(4, 3, *[4] * n).double(), torch.arange(4) % 3
    net(batch[0])
    assert score(net, batch, [Numbers()])["numbers"].value == 23


def test_many_blocks_exceed_no_float():
    torch.manual_seed(0)
    rows = [part for _ in range(1100) for part in (nn.Linear(4, 4), nn.LayerNorm(4), nn.ReLU())]
    net = nn.Sequential(nn.Linear(9, 4), nn.ReLU(), *rows, nn.Linear(4, 3)).double()
    batch = torch.randn(3, 9).double(), torch.arange(3)
    value = score(net, batch, ["wrcor_weighted"])["wrcor_weighted"].value
    assert math.isfinite(value)
    assert value > 3 * 1000 * math.log(2)


class OnInput(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(192, 5)

    def forward(self, x):
        return self.head(F.relu(x).flatten(1))


NONE = {
    "no activation": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(192, 5)), 6, "no activation ran"),
    "one sample": (lambda: small_cnn(batchnorm=False), 1, "one sample"),
    "an activation of inputs": (OnInput, 6, "no weight moves"),
    "other rows": (
        lambda: nn.Sequential(nn.Conv2d(3, 4, 7), nn.Flatten(0, 1), nn.ReLU(), nn.Unflatten(0, (6, 4)), nn.Flatten()),
        6,
        "24 rows",
    ),
}


@pytest.mark.parametrize("kind", NONE)
def test_nets_without_a_value(kind):
    make, samples, reason = NONE[kind]
    result = score(make().double(), image_batch(samples, classes=4), ["wrcor", "snip"])
    assert (result["wrcor"].status, reason in result["wrcor"].reason) == ("undefined", True), result["wrcor"].reason
    assert result["snip"].status == "ok"


def test_an_activation_of_zeros_that_no_weight_moves_is_left_out():
    """As in cells with a node that nothing leads to: the official code's zeros have a derivative, of 0."""

    class Net(nn.Module):
        def __init__(self, zeros):
            super().__init__()
            self.zeros = zeros
            self.first, self.second, self.head = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 1), nn.Linear(4, 4)

        def forward(self, x):
            y = self.first(x)
            return self.head((F.relu(y) + self.second(F.relu(self.zeros(y)))).mean((2, 3)))

    torch.manual_seed(0)
    net, batch = Net(torch.zeros_like).double(), image_batch(classes=4)
    found = score(net, batch, ["wrcor", "wrcor_weighted"])
    net.zeros = lambda y: y * 0
    assert {name: each.value for name, each in found.items()} == pytest.approx(
        {name: each.value for name, each in score(net, batch, ["wrcor", "wrcor_weighted"]).items()}, rel=1e-12
    )
    assert found["wrcor"].value == pytest.approx(plainly(net, *batch), rel=1e-9)
    cell = zcfast.space("nasbench201").parse(
        ["|none~0|+|nor_conv_3x3~0|nor_conv_1x1~1|+|skip_connect~0|none~1|none~2|"]
    )
    drawn = zcfast.score_architectures(
        "nasbench201", ["wrcor"], cell, zcfast.random_images(4, (3, 8, 8), 10, 0), modules=1
    )
    assert not drawn.reasons


def test_a_constant_activation_is_left_out():
    torch.manual_seed(0)
    net = small_cnn(batchnorm=False).double()
    with torch.no_grad():  # then each sample is constant over the places of both activations
        net[0].weight[:], net[0].bias[:], net[4].weight[:] = 0, 1, 0
    batch = image_batch()
    (result,) = score(net, batch, [wrcor(of="activations")]).values()
    assert (result.status, "constant" in result.reason) == ("undefined", True)


def test_what_functions_in_place_write_to():
    class Net(nn.Module):
        def __init__(self, flat):
            super().__init__()
            self.flat, self.first, self.head = flat, nn.Conv2d(3, 4, 3), nn.Linear(144, 5)

        def forward(self, x):
            x = self.first(x)
            return self.head(F.relu_(x.flatten(1)) if self.flat else F.relu(x, inplace=True).flatten(1))

    torch.manual_seed(0)
    net, batch = Net(False).double(), image_batch()
    assert score(net, batch, ["wrcor"])["wrcor"].value == pytest.approx(plainly(net, *batch), rel=1e-9)
    result = score(Net(True).double(), batch, ["wrcor", "naswot"])
    assert (result["wrcor"].status, "in place to a view" in result["wrcor"].reason) == ("refused", True)
    assert result["naswot"].status == "ok"


def test_activations_of_what_does_not_count_pull_too():
    """Their input depends on an embedding alone."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.head = nn.Embedding(7, 6), nn.Linear(6, 3)

        def forward(self, tokens):
            return self.head(F.gelu(self.table(tokens)).mean(1))

    torch.manual_seed(0)
    net, batch = Net().double(), (torch.randint(7, (5, 4)), torch.arange(5) % 3)
    for proxy in (wrcor(), wrcor(of="gradients")):
        (result,) = score(net, batch, [proxy]).values()
        assert result.status == "ok"
    assert score(net, batch, ["wrcor"])["wrcor"].value == pytest.approx(plainly(net, *batch), rel=1e-9)


def test_equal_samples_make_it_infinitely_low():
    images, targets = image_batch(4)
    result = score(small_cnn(batchnorm=False).double(), (images[[0, 1, 2, 0]], targets[[0, 1, 2, 0]]), ["wrcor"])[
        "wrcor"
    ]
    assert (result.value, result.status) == (-math.inf, "ok")


def test_the_option():
    with pytest.raises(ValueError, match="of: expected 'both' or"):
        wrcor(of="inputs")
