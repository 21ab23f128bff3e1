"""dss: the official code's values, plain computations on attention that is written in several ways."""

import copy

import pytest
import torch
import torch.nn as nn

from tests.golden import nets
from tests.golden.modern_cases import CASES, batch
from tests.proxies.attention_nets import WAYS, Encoder
from tests.proxies.example_nets import Tokens, image_batch, small_cnn
from zcfast.scoring import score


def vision_transformer():
    case = CASES["g_tinyvit"]
    net = nets.TinyViT(1000).double()
    nets.fill([(each["name"], dict(net.named_parameters())[each["name"]]) for each in case["params_dss_1000classes"]])
    return net


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_published_values(memory_format):
    inputs, targets = batch("g_tinyvit")
    result = score(vision_transformer(), (inputs.contiguous(memory_format=memory_format), targets), ["dss"])["dss"]
    assert result.value == pytest.approx(
        CASES["g_tinyvit"]["results"]["dss_1000classes"]["head_counted_once"], rel=1e-9
    )


def plainly(net, sample, attend, linear, logits=lambda out: out):
    """On a copy with positive parameters; `attend` and `linear` name weights."""
    copied = copy.deepcopy(net).double()
    with torch.no_grad():
        for parameter in copied.parameters():
            parameter.abs_()
    logits(copied(sample)).sum().backward()
    held = dict(copied.named_parameters())
    total = 0.0
    for name in attend:
        weight = held[name]
        total += (torch.linalg.svdvals(weight.grad).sum() * torch.linalg.svdvals(weight.detach()).sum()).item()
    return total + sum((held[name] * held[name].grad).abs().sum().item() for name in linear)


@pytest.mark.parametrize("way", ["module", "module with weights"])
def test_attention_modules(way):
    torch.manual_seed(0)
    net = Encoder(way).double()
    attend = [f"attentions.{i}.attention.{part}" for i in range(2) for part in ("in_proj_weight", "out_proj.weight")]
    linear = [f"mlps.{i}.{j}.weight" for i in range(2) for j in (0, 2)] + ["head.weight"]
    data = torch.randn(4, 5, 8).double(), torch.arange(4) % 3
    result = score(net, data, ["dss", "synflow"])["dss"]
    assert result.value == pytest.approx(plainly(net, torch.ones(1, 5, 8).double(), attend, linear), rel=1e-9), result


class Own(nn.Module):
    """Projections of its own around any way of attention; rotated queries; an output projection behind a dropout."""

    def __init__(self, way):
        super().__init__()
        self.inner = Encoder(way).attentions[0]
        self.q, self.kv, self.out = nn.Linear(8, 8), nn.Linear(8, 16), nn.Linear(8, 8)
        self.fc1, self.fc2, self.norm = nn.Linear(8, 12), nn.Linear(12, 3), nn.LayerNorm(8)
        self.drop = nn.Dropout(0.0)

    def forward(self, x):
        y = self.norm(x)
        q, (k, v) = self.q(y), self.kv(y).chunk(2, -1)
        q = q * 0.8 + q.flip(-1) * 0.6
        parts = (self.inner.split(part) for part in (q, k, v))
        attended = getattr(self.inner, self.inner.way)(*parts).transpose(1, 2).flatten(2)
        x = x + self.out(self.drop(attended))
        return self.fc2(torch.relu(self.fc1(x))).mean(1)


@pytest.mark.parametrize("way", [way for way in WAYS if "module" not in way])
def test_projections_that_are_layers(way):
    torch.manual_seed(0)
    net = Own(way).double()
    del net.inner.attention
    data = torch.randn(4, 5, 8).double(), torch.arange(4) % 3
    expected = plainly(
        net, torch.ones(1, 5, 8).double(), ["q.weight", "kv.weight", "out.weight"], ["fc1.weight", "fc2.weight"]
    )
    result = score(net, data, ["dss"])["dss"]
    assert result.value == pytest.approx(expected, rel=1e-9), result.reason


class Between(nn.Module):
    """Something between the layers and attention, or between attention and a layer."""

    def __init__(self, what):
        super().__init__()
        self.what, self.between = what, nn.Linear(8, 8)
        self.q, self.k, self.v, self.out = (nn.Linear(8, 8) for _ in range(4))
        self.bilinear, self.gru = nn.Bilinear(8, 8, 8), nn.GRU(8, 8, batch_first=True)
        self.w, self.head = nn.Parameter(torch.randn(8, 8)), nn.Linear(8, 3)

    def forward(self, x):
        q = self.q(x)
        if self.what in ("bilinear", "gru"):
            q = self.bilinear(q, q) if self.what == "bilinear" else self.gru(q)[0]
        a = nn.functional.scaled_dot_product_attention(q, self.k(x), self.v(x))
        if self.what in ("parameter", "einsum"):
            a = a @ self.w if self.what == "parameter" else torch.einsum("ntd,de->nte", a, self.w)
        return self.head(self.between(self.out(input=a)).mean(1))


@pytest.mark.parametrize(
    ("what", "linear"),
    [("", ""), ("bilinear", "q"), ("gru", "q"), ("parameter", "out"), ("einsum", "out")],
)
def test_layers_that_another_product_cuts_off(what, linear):
    torch.manual_seed(0)
    net, data = Between(what).double(), (torch.randn(4, 5, 8).double(), torch.arange(4) % 3)
    attend = [f"{name}.weight" for name in ("q", "k", "v", "out") if name != linear]
    rest = ["between.weight", "head.weight", *([f"{linear}.weight"] if linear else [])]
    expected = plainly(net, torch.ones(1, 5, 8).double(), attend, rest)
    result = score(net, data, ["dss"])["dss"]
    assert result.value == pytest.approx(expected, rel=1e-9), result.reason


def test_tokens_are_ones_behind_their_embedding():
    torch.manual_seed(0)
    net, tokens = Tokens().double(), torch.randint(11, (3, 5))
    ones = copy.deepcopy(net)
    ones.word.register_forward_hook(lambda module, args, output: torch.ones_like(output))
    attend = ["encoder.self_attn.in_proj_weight", "encoder.self_attn.out_proj.weight"]
    linear = ["encoder.linear1.weight", "encoder.linear2.weight", "head.weight"]
    expected = plainly(ones, tokens[:1], attend, linear, lambda out: out["logits"])
    found = score(net, (tokens, torch.arange(3)), ["dss", "head_confidence", "synflow"])
    assert found["dss"].value == pytest.approx(expected, rel=1e-9), found["dss"].reason


def test_the_net_comes_back():
    net = vision_transformer()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    score(net, batch("g_tinyvit"), ["dss", "snip"])
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_nets_without_attention():
    result = score(small_cnn().double(), image_batch(), ["dss", "synflow"])
    assert (result["dss"].status, "no attention ran" in result["dss"].reason) == ("undefined", True)
    assert result["synflow"].status == "ok"
