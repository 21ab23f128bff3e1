"""The multiply-adds of all that runs, by hand and by torch's own counter."""

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F  # noqa: N812
from torch.func import vmap
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

import zcfast
from zcfast.scoring import score

T, E = 6, 8
SEQUENCES = torch.randn(4, T, E, generator=torch.Generator().manual_seed(1))
IMAGES = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))


class Calls(nn.Module):
    """A function of a net with some parameters."""

    def __init__(self, function, **modules):
        super().__init__()
        torch.manual_seed(0)
        self.function, self.weight = function, nn.Parameter(torch.randn(E, E))
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, x):
        return self.function(self, x).flatten(1)[:, :4]


def attention(batch_first=True, **options):
    layer = nn.MultiheadAttention(E, 2, batch_first=batch_first, **options)
    return Calls(lambda net, x: net.a(x, x, x, need_weights=options.pop("weights", False))[0], a=layer)


def encoder():
    return nn.TransformerEncoder(nn.TransformerEncoderLayer(E, 2, 16, batch_first=True), 2, enable_nested_tensor=False)


PROJECTIONS, PRODUCTS = 4 * E * E * T, 2 * T * T * E
EXPECTED = {
    "attention": (attention, PROJECTIONS + PRODUCTS),
    "encoder": (lambda: Calls(lambda net, x: net.e(x), e=encoder()), 2 * (PROJECTIONS + PRODUCTS + 2 * E * 16 * T)),
    "sdpa": (lambda: Calls(lambda net, x: F.scaled_dot_product_attention(x, x, x)), PRODUCTS),
    "causal": (lambda: Calls(lambda net, x: F.scaled_dot_product_attention(x, x, x, is_causal=True)), PRODUCTS),
    "linear": (lambda: Calls(lambda net, x: F.linear(x, net.weight)), E * E * T),
    "matmul": (lambda: Calls(lambda net, x: x @ x.mT @ net.weight[:T]), T * T * E * 2),
    "einsum": (lambda: Calls(lambda net, x: torch.einsum("nte,ef,nsf->nts", x, net.weight, x)), T * E * E + T * T * E),
    "vectors": (lambda: Calls(lambda net, x: torch.stack([each @ net.weight[0] for each in x])), T * E),
    "dots": (lambda: Calls(lambda net, x: torch.stack([e[0] @ e[1] for e in x])[:, None] * x[:, 0]), E),
    "rnn": (lambda: Calls(lambda net, x: net.r(x)[0], r=nn.RNN(E, 5, batch_first=True)), T * 5 * (E + 5)),
    "lstm": (lambda: Calls(lambda net, x: net.r(x)[0], r=nn.LSTM(E, 5, batch_first=True)), T * 20 * (E + 5)),
    "gru": (
        lambda: Calls(lambda net, x: net.r(x)[0], r=nn.GRU(E, 5, 2, batch_first=True, bidirectional=True)),
        2 * T * 15 * (E + 5) + 2 * T * 15 * (10 + 5),
    ),
    "mapped": (lambda: Calls(lambda net, x: vmap(lambda v: F.linear(v, net.weight))(x)), E * E * T),
    "checkpointed": (
        lambda: Calls(lambda net, x: checkpoint(net.one, x, use_reentrant=False), one=nn.Linear(E, E)),
        E * E * T,
    ),
    "reentrant": (
        lambda: Calls(lambda net, x: checkpoint(net.one, x, use_reentrant=True), one=nn.Linear(E, E)),
        E * E * T,
    ),
    "no_grad": (lambda: Calls(lambda net, x: torch.no_grad()(net.one)(x), one=nn.Linear(E, E)), E * E * T),
    "twice": (lambda: Calls(lambda net, x: net.one(net.one(x)), one=nn.Linear(E, E)), 2 * E * E * T),
    "norms and activations": (lambda: Calls(lambda net, x: net.n(x).softmax(-1), n=nn.LayerNorm(E)), 0),
    "in a list": (lambda: Calls(lambda net, x: LIST[0](x)), E * E * T),
}
LIST = [nn.Linear(E, E)]


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("name", EXPECTED)
def test_by_hand(name, train):
    make, expected = EXPECTED[name]
    net = make().train(train).requires_grad_(train)
    with torch.inference_mode(not train):
        found = score(net, (SEQUENCES, torch.arange(4)), ["multiply_adds"], train=train)["multiply_adds"]
    assert found.value == expected, found.reason


CONVOLUTIONS = {
    "grouped": lambda: nn.Conv2d(3, 6, 3, groups=3, padding=1),
    "strided and dilated": lambda: nn.Conv2d(3, 6, 3, stride=2, dilation=2),
    "transposed": lambda: nn.ConvTranspose2d(3, 6, 3, stride=2),
    "separable": lambda: nn.Sequential(nn.Conv2d(3, 3, 3, groups=3), nn.BatchNorm2d(3), nn.Conv2d(3, 8, 1), nn.ReLU()),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_by_the_counter_of_torch(name):
    net = nn.Sequential(CONVOLUTIONS[name](), nn.Flatten(), nn.LazyLinear(4))
    net(IMAGES)
    with FlopCounterMode(display=False) as counter:
        net(IMAGES)
    found = score(net, (IMAGES, torch.arange(4)), ["multiply_adds", "flops"])
    assert found["multiply_adds"].value == counter.get_total_flops() / 2 / len(IMAGES)
    if name != "transposed":  # which is no layer that counts
        assert found["flops"].value == found["multiply_adds"].value


@pytest.mark.parametrize("name", ["nasbench101", "nasbench201"])
def test_nets_of_the_benchmarks_have_their_flops(name):
    space = zcfast.space(name)
    cells = space.sample(2, generator=torch.Generator().manual_seed(0))
    batch = zcfast.random_images(2, (3, 32, 32), classes=10, seed=0)
    expected = zcfast.score_space(space, ["flops"], cells=cells)["flops"]
    for cell, flops in zip(cells, expected, strict=True):
        assert score(space.build(cell), batch, ["multiply_adds"])["multiply_adds"].value == flops


def test_the_net_comes_back():
    net = EXPECTED["lstm"][0]()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    flags = torch.backends.mkldnn.is_available(), torch.get_rng_state()
    score(net, (SEQUENCES, torch.arange(4)), ["multiply_adds"])
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert torch.equal(flags[1], torch.get_rng_state())
    assert torch.backends.mkldnn.enabled
