"""head_confidence: plain computations on attention that is written in several ways."""

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F  # noqa: N812
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.golden.modern_cases import build
from tests.proxies.attention_nets import WAYS, Encoder
from tests.proxies.example_nets import Tokens, image_batch, small_cnn
from zcfast.scoring import score


def projections(x, attention):
    """Of all tokens, [N, T, 3 width]."""
    return F.linear(x, attention.in_proj_weight, attention.in_proj_bias)


def plainly(net, x):
    total = 0.0
    for i, (attention, mlp) in enumerate(zip(net.attentions, net.mlps, strict=True)):
        normed = net.norms[2 * i](x)
        for part in projections(normed, attention.attention).chunk(3, -1):
            total += part.max(1).values.mean().item()
        x = x + attention(normed)
        x = x + mlp(net.norms[2 * i + 1](x))
    return total


@settings(max_examples=10, deadline=None)
@given(samples=st.integers(1, 4), tokens=st.integers(1, 6), seed=st.integers(0, 99))
def test_all_ways_against_a_plain_computation(samples, tokens, seed):
    torch.manual_seed(seed)
    state = Encoder("module").state_dict()
    x, targets = torch.randn(samples, tokens, 8).double(), torch.arange(samples) % 3
    for way in WAYS:
        net = Encoder(way).double()
        net.load_state_dict(state)
        result = score(net, (x, targets), ["head_confidence"])["head_confidence"]
        assert result.value == pytest.approx(plainly(net, x), rel=1e-12), (way, result.reason)


@pytest.mark.parametrize("train", [True, False])
def test_layers_of_torch_and_tokens(train):
    torch.manual_seed(0)
    net, tokens = Tokens().double().train(train), torch.randint(11, (3, 5))
    hidden = net.position(torch.arange(5))[None] + net.word(tokens)
    parts = projections(hidden, net.encoder.self_attn).chunk(3, -1)
    expected = sum(part.max(1).values.mean().item() for part in parts)
    with torch.inference_mode():
        result = score(net, (tokens, torch.arange(3)), ["head_confidence"], train=train)["head_confidence"]
    assert result.value == pytest.approx(expected, rel=1e-12)


def test_keys_of_another_width():
    class Cross(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention, self.head = nn.MultiheadAttention(8, 2, kdim=5, vdim=6), nn.Linear(8, 3)

        def forward(self, q, k, v):
            return self.head(self.attention(q.transpose(0, 1), k.transpose(0, 1), v.transpose(0, 1))[0].mean(0))

    torch.manual_seed(0)
    net, inputs = Cross().double(), tuple(torch.randn(4, 7, width).double() for width in (8, 5, 6))
    held = net.attention
    weights = held.q_proj_weight, held.k_proj_weight, held.v_proj_weight
    parts = [F.linear(x, w, b) for x, w, b in zip(inputs, weights, held.in_proj_bias.chunk(3), strict=True)]
    result = score(net, (inputs, torch.arange(4) % 3), ["head_confidence"])["head_confidence"]
    assert result.value == pytest.approx(sum(part.max(1).values.mean().item() for part in parts), rel=1e-12)


def test_vision_transformer_of_products():
    net, batch = build("g_tinyvit")
    kept = []
    for block in net.blocks:
        block.qkv.register_forward_hook(lambda module, args, output: kept.append(output))
    net(batch[0])
    expected = sum(part.max(1).values.mean().item() for output in kept[:2] for part in output.chunk(3, -1))
    assert score(net, batch, ["head_confidence"])["head_confidence"].value == pytest.approx(expected, rel=1e-12)


def test_nets_without_attention():
    result = score(small_cnn().double(), image_batch(), ["head_confidence", "snip"])
    assert (result["head_confidence"].status, "no attention ran" in result["head_confidence"].reason) == (
        "undefined",
        True,
    )
    assert result["snip"].status == "ok"


def test_a_softmax_over_classes_is_no_attention():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(8, 3)

        def forward(self, x):
            return torch.softmax(self.layer(x), -1).mean(1)

    result = score(Net().double(), (torch.randn(4, 5, 8).double(), torch.arange(4) % 3), ["head_confidence"])
    assert result["head_confidence"].status == "undefined"


def test_what_is_not_finite():
    net = Encoder("fused").double()
    with torch.no_grad():
        net.attentions[0].attention.in_proj_weight.fill_(float("inf"))
    result = score(net, (torch.randn(4, 5, 8).double(), torch.arange(4) % 3), ["head_confidence"])["head_confidence"]
    assert (result.status, "not" in result.reason) == ("undefined", True)
