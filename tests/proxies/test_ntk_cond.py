"""ntk_cond: the official code's values, an independent computation, and where it has none."""

import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tests.golden.modern_cases import build, values
from tests.proxies.example_nets import CONVOLUTIONAL, image_batch, small_cnn
from zcfast.scoring import score


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("name", [name for name, _ in values("ntk_cond_train")])
def test_published_values(name, mode):
    expected = dict(values(f"ntk_cond_{mode}"))
    if name not in expected:
        return
    net, batch = build(name)
    for child in net.modules():  # those of the official cells keep no statistics
        if isinstance(child, nn.BatchNorm2d) and not child.affine:
            child.track_running_stats = False
            child.running_mean = child.running_var = None
    result = score(net.train(mode == "train"), batch, ["ntk_cond"], train=mode == "train")["ntk_cond"]
    assert result.value == pytest.approx(-expected[name], rel=1e-6)


def plainly(net, inputs):
    net = copy.deepcopy(net).double().train()
    weights = [p for name, p in net.named_parameters() if name.rpartition(".")[2].startswith("weight")]
    logits = net(inputs.double())
    rows = [torch.autograd.grad(each.sum(), weights, retain_graph=True) for each in logits]
    jacobian = torch.stack([torch.cat([g.flatten() for g in row]) for row in rows])
    return -(torch.linalg.cond(jacobian).item() ** 2)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-6), (torch.float32, 1e-2)])
@pytest.mark.parametrize("kind", CONVOLUTIONAL)
def test_against_a_plain_computation(kind, dtype, tolerance, memory_format):
    torch.manual_seed(2)
    net, (inputs, targets) = CONVOLUTIONAL[kind](), image_batch(6)
    expected = plainly(net, inputs)
    batch = inputs.to(dtype).contiguous(memory_format=memory_format), targets
    alone = score(net.to(dtype), batch, ["ntk_cond"])["ntk_cond"].value
    together = score(net, batch, ["snip", "jacob_cov", "ntk_cond", "fisher", "grasp"])["ntk_cond"].value
    assert alone == pytest.approx(expected, rel=tolerance)
    assert together == pytest.approx(expected, rel=tolerance)


@settings(max_examples=25, deadline=None)
@given(samples=st.integers(2, 6), width=st.integers(2, 5), seed=st.integers(0, 99))
def test_any_shape(samples, width, seed):
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(9, width), nn.Tanh(), nn.LayerNorm(width), nn.Linear(width, 3)).double()
    batch = torch.randn(samples, 9).double(), torch.randint(3, (samples,))
    value, expected = score(net, batch, ["ntk_cond"])["ntk_cond"].value, plainly(net, batch[0])
    assert value == pytest.approx(expected, rel=1e-5) if expected > -1e8 else value < -1e7


def test_tied_weights_are_one():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(5, 5), nn.Tanh(), nn.Linear(5, 5), nn.Linear(5, 3)).double()
    net[2].weight = net[0].weight
    batch = torch.randn(4, 5).double(), torch.arange(4) % 3
    assert score(net, batch, ["ntk_cond"])["ntk_cond"].value == pytest.approx(plainly(net, batch[0]), rel=1e-8)


def test_equal_samples_make_it_infinitely_low():
    images, targets = image_batch(4)
    result = score(small_cnn(batchnorm=False).double(), (images[[0, 1, 2, 0]], targets), ["ntk_cond"])["ntk_cond"]
    assert (result.value, result.status) == (-math.inf, "ok")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_samples_whose_gradients_sum_to_rounding_make_it_infinitely_low(dtype):
    """Behind a BatchNorm the logits of the samples sum to a constant."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 5), nn.BatchNorm1d(5)).to(dtype)
    result = score(net, (torch.randn(6, 12, dtype=dtype), torch.arange(6) % 5), ["ntk_cond"])["ntk_cond"]
    assert (result.value, result.status) == (-math.inf, "ok")


def test_one_sample_has_no_kernel():
    result = score(small_cnn(batchnorm=False).double(), image_batch(1), ["ntk_cond"])["ntk_cond"]
    assert (result.status, "two samples" in result.reason) == ("undefined", True)
