"""zico: the official code's values, an independent computation, and where it has none."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import zcfast
from tests.golden import modern_cases
from tests.proxies.example_nets import CONVOLUTIONAL, Tokens, image_batch, small_cnn
from zcfast.proxies import zico
from zcfast.scoring import score


@pytest.mark.parametrize("parts", [2, 3])
@pytest.mark.parametrize("name", [name for name, _ in modern_cases.values("zico_2batches")])
def test_published_values(name, parts):
    expected = dict(modern_cases.values(f"zico_{parts}batches"))
    if name not in expected:
        return
    net, _ = modern_cases.build(name)
    drawn = [modern_cases.batch(name, draw=draw) for draw in range(parts)]
    whole = tuple(torch.cat(each) for each in zip(*drawn, strict=True))
    (result,) = score(net, whole, [zico(minibatches=parts)]).values()
    assert result.value == pytest.approx(expected[name], rel=1e-7)
    (listed,) = score(net, drawn, [zico(minibatches=parts)]).values()
    assert listed.value == result.value


def split(inputs, targets, parts):
    return list(zip(inputs.tensor_split(parts), targets.tensor_split(parts), strict=True))


def plainly(net, minibatches, logits=lambda out: out):
    """Two passes over kept gradients, float64."""
    kept = []
    for x, y in minibatches:
        copied = copy.deepcopy(net).double().train()
        weights = [c.weight for c in copied.modules() if isinstance(c, (nn.Conv2d, nn.Linear))]
        loss = F.cross_entropy(logits(copied(x)), y)
        found = torch.autograd.grad(loss, weights, allow_unused=True)
        kept.append([torch.zeros_like(w) if g is None else g for w, g in zip(weights, found, strict=True)])
    total = 0.0
    for gradients in zip(*kept, strict=True):
        g = torch.stack(gradients)
        std = g.std(0, correction=0)
        ratio = (g.abs().mean(0) / std)[(g != g[0]).any(0)].sum().item()
        total += math.log(ratio) if ratio else 0
    return total


# Of two minibatches, weights with nearly equal gradients decide, which float32 moves.
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("dtype", "parts", "tolerance"), [(torch.float64, 2, 1e-6), (torch.float32, 3, 1e-4)])
@pytest.mark.parametrize("kind", CONVOLUTIONAL)
def test_against_a_plain_computation(kind, dtype, parts, tolerance, memory_format):
    torch.manual_seed(2)
    net, (inputs, targets) = CONVOLUTIONAL[kind]().double(), image_batch(13)
    expected = plainly(net, split(inputs, targets, parts))
    batch = inputs.to(dtype).contiguous(memory_format=memory_format), targets
    proxy = zico(minibatches=parts)
    result = score(net.to(dtype), batch, ["grad_norm", "grasp", proxy], per_layer=True)[proxy.label]
    assert result.value == pytest.approx(expected, rel=tolerance)
    assert result.per_layer.sum().item() == pytest.approx(expected, rel=tolerance)


@settings(max_examples=25, deadline=None)
@given(samples=st.integers(2, 9), parts=st.integers(2, 4), width=st.integers(1, 4), side=st.integers(3, 6))
def test_any_shape(samples, parts, width, side):
    torch.manual_seed(samples + 11 * parts + 101 * width)
    net = nn.Sequential(nn.Conv2d(3, width, 3), nn.Tanh(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 3))
    batch = torch.randn(samples, 3, side, side).double(), torch.randint(3, (samples,))
    (result,) = score(net.double(), batch, [zico(minibatches=parts)]).values()
    if samples < parts:
        assert (result.status, "take as many samples" in result.reason) == ("undefined", True)
    else:
        assert result.value == pytest.approx(plainly(net, split(*batch, parts)), rel=1e-6)


@settings(max_examples=10, deadline=None)
@given(sizes=st.lists(st.integers(1, 5), min_size=2, max_size=4), seed=st.integers(0, 99))
def test_a_list_of_minibatches(sizes, seed):
    """Of any sizes, each by itself; all other proxies take the samples side by side."""
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Tanh(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)).double()
    given = [(torch.randn(n, 3, 6, 6).double(), torch.randint(3, (n,))) for n in sizes]
    proxies = ["snip", "gradsign", zico(minibatches=len(sizes))]
    found = score(net, given, proxies)
    assert found[proxies[-1].label].value == pytest.approx(plainly(net, given), rel=1e-6)
    whole = tuple(torch.cat(each) for each in zip(*given, strict=True))
    for name, result in score(net, whole, proxies[:2]).items():
        assert found[name].value == result.value
    assert found["snip"].protocol.minibatches == tuple(sizes)
    assert found["snip"].protocol.batch_size == sum(sizes)


def test_lists_of_other_forms():
    torch.manual_seed(0)
    net, one = small_cnn(batchnorm=False).double(), image_batch(4)
    drawn = [zcfast.random_images(n, (3, 8, 8), 5, seed) for seed, n in enumerate((3, 4))]
    assert score(net.float(), drawn, ["zico"])["zico"].status == "ok"
    three = score(net.double(), [one, one, image_batch(3)], ["zico", "snip"])
    assert (three["zico"].status, "takes 2 minibatches, got 3" in three["zico"].reason) == ("refused", True)
    assert three["snip"].status == "ok"
    for name in ("snip", "zico"):
        assert score(net, [one], [name])[name].value == score(net, one, [name])[name].value
    named = score(Tokens().double(), [({"tokens": torch.randint(11, (3, 5))}, torch.arange(3) % 3)] * 2, ["zico"])
    assert "are equal" in named["zico"].reason
    with pytest.raises(ValueError, match=r"batch: expected minibatches of one form, inputs \['N', 3, 8, 8\] .* got"):
        score(net, [one, (one[0].float(), one[1])], ["zico"])
    with pytest.raises(ValueError, match=r"batch: expected minibatches of one form"):
        score(net, [one, ((one[0],) * 2, one[1])], ["zico"])
    with pytest.raises(TypeError, match=r"batch: expected \(inputs, targets\), got tuple"):
        score(net, [one, one[:1]], ["zico"])


def test_tokens():
    torch.manual_seed(0)
    net = Tokens().double()
    batch = torch.randint(11, (6, 5)), torch.arange(6) % 3
    counted = score(net, batch, ["zico"])["zico"]
    assert counted.value == pytest.approx(plainly(net, split(*batch, 2), lambda out: out["logits"]), rel=1e-6)


def test_equal_minibatches_have_no_spread():
    images, targets = image_batch(3)
    result = score(small_cnn().double(), (images.repeat(2, 1, 1, 1), targets.repeat(2)), ["zico", "snip"])
    assert (result["zico"].status, "are equal" in result["zico"].reason) == ("undefined", True)
    assert result["snip"].status == "ok"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("rows", [[0, 1, 2, 3, 2, 0, 3, 1], [0] * 9])
def test_minibatches_of_the_same_samples_differ_by_rounding_alone(rows, dtype):
    torch.manual_seed(0)
    images, targets = image_batch(4, dtype=dtype)
    result = score(small_cnn(batchnorm=False).to(dtype), (images[rows], targets[rows]), ["zico"])["zico"]
    assert (result.status, "are equal" in result.reason) == ("undefined", True)


def test_minibatches_that_hardly_differ_have_a_value():
    torch.manual_seed(0)
    net, (images, targets) = small_cnn().double(), image_batch(4)
    moved = torch.cat([images, images + 1e-4 * torch.randn_like(images)]), targets.repeat(2)
    assert score(net, moved, ["zico"])["zico"].value == pytest.approx(plainly(net, split(*moved, 2)), rel=1e-5)


def test_unused_layers_are_left_out():
    class Unused(nn.Sequential):
        def __init__(self):
            super().__init__(*small_cnn())
            self.more = nn.Linear(3, 3)

        def forward(self, x):
            for part in list(self)[:-1]:
                x = part(x)
            return x

    torch.manual_seed(0)
    net = Unused().double()
    result = score(net, image_batch(), ["zico"], per_layer=True)["zico"]
    assert result.per_layer[-1] == 0
    assert result.value == pytest.approx(score(nn.Sequential(*list(net)[:-1]), image_batch(), ["zico"])["zico"].value)


@pytest.mark.parametrize("wrong", [1, 0, True, 2.0, "2"])
def test_the_number_of_minibatches(wrong):
    with pytest.raises(ValueError, match="minibatches: expected two or more, got"):
        zico(minibatches=wrong)
