"""Sizes by a pass of no samples are the proxies params and multiply_adds, or come of a pass with samples."""

import copy

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  # the name that every PyTorch user reads
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

import zcfast
from tests.spaces.of_own.builders import Calls
from zcfast.scoring.fingerprint import fingerprint
from zcfast.spaces import LayerKinds, Sizes
from zcfast.spaces.own import sizes as own_sizes
from zcfast.spaces.own.no_samples import NoSamples, OtherwiseShapedError

IMAGES = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0)), torch.arange(4)
TOKENS = torch.randint(0, 20, (4, 6), generator=torch.Generator().manual_seed(0)), torch.arange(4)


class Squared(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.square().reshape(-1, x.shape[-1])

    @staticmethod
    def backward(ctx, gradient):
        return gradient


def head(features):
    return nn.Linear(features, 5)


def shuffled(net, x):
    x = net.conv(x)
    n, c, h, w = x.shape
    x = x.view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, -1, h, w)
    first, second = torch.chunk(x, 2, dim=1)
    return net.head(torch.cat((F.relu(first), second * 2), 1).mean((2, 3)))


def attention(net, x):
    x = net.patch(x).flatten(2).transpose(1, 2)
    q, k, v = net.qkv(x).chunk(3, -1)
    x = x + net.out(F.scaled_dot_product_attention(q, k, v))
    return net.head(net.norm(x)[:, 0])


def patches_as_samples(net, x):
    n = len(x)
    x = net.embed(x.reshape(n * 16, 48))
    return net.head(x.reshape(n, 16, 8).mean(1))


def samples_as_patches(net, x):
    return net.head(net.embed(x.reshape(-1, 48)).reshape(len(x), -1))


def hidden_merge(net, x):
    return net.head(net.embed(Squared.apply(x)).reshape(len(x), -1))


def doubled(net, x):
    return net.head(torch.cat((x, x)).flatten(1))[: len(x)]


def ensembled(net, x):
    return torch.func.vmap(net.head)(x.flatten(1)[:, None].expand(-1, 3, -1)).mean(1)


FAST = {
    "view": Calls(lambda net, x: net.head(net.conv(x).view(x.size(0), -1)), conv=nn.Conv2d(3, 4, 3), head=head(784)),
    "reshape": Calls(lambda net, x: net.head(net.conv(x).reshape(-1, 784)), conv=nn.Conv2d(3, 4, 3), head=head(784)),
    "shuffled": Calls(shuffled, conv=nn.Conv2d(3, 8, 3, 2), head=head(8)),
    "attention": Calls(
        attention,
        patch=nn.Conv2d(3, 8, 4, 4),
        qkv=nn.Linear(8, 24),
        out=nn.Linear(8, 8),
        norm=nn.LayerNorm(8),
        head=head(8),
    ),
    "batchnorm": nn.Sequential(
        nn.Conv2d(3, 4, 16), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Flatten(), nn.BatchNorm1d(4), head(4)
    ),
    "upsampled": nn.Sequential(
        nn.ConvTranspose2d(3, 4, 2, 2), nn.Upsample(scale_factor=2), nn.Conv2d(4, 2, 3, groups=2), nn.MaxPool2d(2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), head(2),
    ),
    "twice": Calls(lambda net, x: net.head(net.conv(net.conv(x)).mean((2, 3))), conv=nn.Conv2d(3, 3, 3), head=head(3)),
    "frozen": nn.Sequential(nn.Conv2d(3, 4, 3).requires_grad_(False), nn.Flatten(), head(784)),
}  # fmt: skip
SLOW = {
    "patches_as_samples": Calls(patches_as_samples, embed=nn.Linear(48, 8), head=head(8)),
    "samples_as_patches": Calls(samples_as_patches, embed=nn.Linear(48, 8), head=head(128)),
    "hidden_merge": Calls(hidden_merge, embed=nn.Linear(16, 2), head=head(96)),
    "doubled": Calls(doubled, head=head(768)),
    "ensembled": Calls(ensembled, head=head(768)),
    "samples_second": Calls(
        lambda net, x: net.head(net.rnn(x.flatten(1)[:, None].transpose(0, 1))[0][0]), rnn=nn.GRU(768, 8), head=head(8)
    ),
}  # fmt: skip


def heads(net, x):
    x = net.patch(x).flatten(2).transpose(1, 2)
    q, k, v = (each.view(len(x), 16, 2, 4).transpose(1, 2) for each in net.qkv(x).chunk(3, -1))
    return net.head((q @ k.transpose(-2, -1) @ v).mean((1, 2)))


def gated(net, x):
    x = net.patch(x).flatten(2).transpose(1, 2)
    return net.head(torch.bmm(x, F.linear(x, net.qkv.weight[:8]).transpose(1, 2)).mean(2))


PARTS = {"patch": nn.Conv2d(3, 8, 4, 4), "qkv": nn.Linear(8, 24)}
FAST |= {
    "heads": Calls(heads, **PARTS, head=head(4)),
    "gated": Calls(gated, **PARTS, head=head(16)),
    "depthwise": nn.Sequential(nn.Conv2d(3, 6, 3, 2, groups=3), nn.Conv2d(6, 2, 1), nn.Flatten(), head(98)),
}
SLOW |= {
    "einsum": Calls(
        lambda net, x: net.head(torch.einsum("ntc,nsc->nts", *[net.patch(x).flatten(2).mT] * 2).mean(1)),
        **PARTS,
        head=head(16),
    ),
    "of parameters": Calls(
        lambda net, x: F.linear(net.patch(x).mean((2, 3)), net.head.weight), patch=nn.Conv2d(3, 8, 4, 4), head=head(8)
    ),
    "recurrent": Calls(
        lambda net, x: net.head(net.rnn(x.flatten(2))[0][:, -1]),
        rnn=nn.LSTM(256, 4, batch_first=True),
        head=head(4),
    ),
}
TEXTS = {
    "bag": Calls(lambda net, x: net.head(net.table(x).mean(1)), table=nn.Embedding(20, 8), head=head(8)),
    "encoder": Calls(
        lambda net, x: net.head(net.encoder(net.table(x)).mean(1)),
        table=nn.Embedding(20, 8),
        encoder=nn.TransformerEncoderLayer(8, 2, 16, batch_first=True),
        head=head(8),
    ),
}


def measured(net, batch):
    space = zcfast.spaces.of({"net": lambda: copy.deepcopy(net)}, example=batch)
    counted = space.capability(Sizes)
    return counted.params(space.enumerate()).item(), counted.flops(space.enumerate()).item()


def scored(net, batch):
    values = zcfast.score(net, batch, ["params", "multiply_adds"])
    assert {each.status for each in values.values()} == {"ok"}
    return values["params"].value, values["multiply_adds"].value


@pytest.mark.parametrize("name", [*FAST, *SLOW, *TEXTS])
def test_sizes_are_those_of_the_proxies(name):
    net, batch = (TEXTS[name], TOKENS) if name in TEXTS else ({**FAST, **SLOW}[name], IMAGES)
    expected = scored(net, batch)
    assert expected[1] > 0
    assert measured(net, batch) == expected


@pytest.mark.parametrize("name", ["attention", "heads", "gated", "depthwise", "einsum", "doubled", "encoder"])
def test_work_is_half_of_what_torchs_counter_counts(name):
    net, (inputs, _) = (TEXTS[name], TOKENS) if name in TEXTS else ({**FAST, **SLOW}[name], IMAGES)
    net.train()
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        net(inputs[:2])
    assert measured(net, (inputs, IMAGES[1]))[1] == counter.get_total_flops() / 2 / 2


class LowRank(nn.Module):
    """A layer whose weight is a product: 40 x 3 x 8 multiply-adds, whatever the minibatch; and 8 x 40 a sample."""

    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Parameter(torch.randn(40, 3)), nn.Parameter(torch.randn(3, 8))

    def forward(self, x):
        return x.flatten(1)[:, :40] @ (self.left @ self.right)


def test_a_product_of_weights_is_not_divided_among_samples():
    net = LowRank()
    assert measured(net, IMAGES)[1] == 40 * 3 * 8 + 40 * 8
    assert scored(net, (IMAGES[0], IMAGES[1]))[1] == 40 * 3 * 8 / 4 + 40 * 8


def test_kinds():
    space = zcfast.spaces.of([FAST["depthwise"], SLOW["einsum"], FAST["heads"]], example=IMAGES)
    kinds = space.capability(LayerKinds).layer_kinds(space.enumerate())
    depthwise = {"conv 3x3 stride 2 depthwise": (1, 6 * 9 * 49), "conv 1x1": (1, 12 * 49)}
    assert kinds[0] == {**depthwise, "matrix product": (1, 98 * 5)}
    patches = {"conv 4x4 stride 4": (1, 16 * 8 * 48)}
    assert kinds[1] == {**patches, "matrix product": (2, 16 * 16 * 8 + 16 * 5)}
    assert kinds[2] == {**patches, "matrix product": (4, 16 * 8 * 24 + 2 * 16 * 16 * 8 + 4 * 5)}


@pytest.mark.parametrize("name", FAST)
def test_no_sample_runs(name, monkeypatch):
    monkeypatch.setattr(own_sizes, "_with_samples", lambda *_: pytest.fail("ran samples"))
    measured(FAST[name], IMAGES)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: x.reshape(-1, 4),
        lambda x: x.view(len(x) * 2, 6),
        lambda x: x.reshape(-1),
        lambda x: x.view(torch.int32),
        lambda x: x.flatten(),
        lambda x: torch.flatten(x, 0, 1),
        lambda x: x.transpose(0, 1),
        lambda x: x.mT.mH,
        lambda x: x.permute(1, 0, 2),
        lambda x: x.mean(0),
        lambda x: x.mean(0, keepdim=True),
        lambda x: x.sum(),
        lambda x: torch.cat((x, x)),
        lambda x: torch.cat((x, x), -3),
        lambda x: torch.cat((x, x), dim=0),
        lambda x: x.chunk(2),
        lambda x: torch.split(x, 1),
        lambda x: x[:1],
        lambda x: x[..., :1, :, :],
        lambda x: x[x.mean((1, 2)) > 0],
        lambda x: x[torch.tensor([], dtype=torch.int64)],
        lambda x: x.repeat(2, 1, 1),
        lambda x: x.expand(0, 3, 4),
        lambda x: torch.einsum("nij->in", x),
        lambda x: torch.zeros(2 * len(x), 3),
        lambda x: torch.randn(3, 3) @ torch.zeros(3, len(x)),
        lambda x: x.unfold(0, 0, 1),
        lambda x: x.repeat_interleave(2, 0),
    ],
)
def test_calls_that_may_mix_samples_are_none(call):
    inputs = torch.zeros(0, 3, 4)
    with NoSamples([inputs]), pytest.raises((OtherwiseShapedError, RuntimeError, IndexError, ValueError)):
        call(inputs)


def test_networks_that_cannot_be_measured():
    def build(trial):
        width = trial.suggest_int("width", 1, 3)
        if width == 2:
            raise RuntimeError("no such width")
        return nn.Sequential(nn.Conv2d(width, 4, 3), nn.Flatten(), head(784))

    space = zcfast.Space(build, example=(torch.zeros(2, 1, 16, 16), torch.arange(2)))
    counted = space.capability(Sizes)
    assert counted.flops(space.parse({"width": 1})).tolist() == [4 * 9 * 14 * 14 + 784 * 5]
    assert counted.params(space.sample(0)).tolist() == []
    with pytest.raises(ValueError, match=r'no sizes of \{"width": 2\}: build raised RuntimeError.*no such width'):
        counted.params(space.parse({"width": 2}))
    with pytest.raises(ValueError, match=r'no sizes of \{"width": 3\}: .*channels'):
        counted.flops(space.parse({"width": 3}))


def test_a_given_module_stays_as_it_is():
    net = nn.Sequential(nn.BatchNorm2d(3), nn.Flatten(), head(768)).eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    space = zcfast.spaces.of([net], example=IMAGES)
    assert space.capability(Sizes).flops(space.enumerate()).tolist() == [768 * 5]
    assert not net.training
    assert not net[2]._forward_hooks
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_sizes_leave_no_trace_in_a_space():
    """Kept scores are told by what a space holds."""
    space = zcfast.spaces.of({"net": FAST["view"]}, example=IMAGES)
    before = fingerprint(space)
    space.capability(Sizes).flops(space.enumerate())
    assert fingerprint(space) == before
