"""epe_nas: the official code's values, an independent computation, and where it has none."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tests.golden.modern_cases import build, values
from tests.proxies.example_nets import CONVOLUTIONAL, image_batch, small_cnn
from zcfast.proxies.epe_nas import _score
from zcfast.scoring import score


@pytest.mark.parametrize(("name", "expected"), values("epe_nas"))
def test_published_values(name, expected):
    net, (inputs, _) = build(name)
    result = score(net, (inputs, torch.arange(8) % 3), ["epe_nas"])["epe_nas"]
    assert result.value == pytest.approx(expected, rel=1e-9)


def jacobian(net, inputs):
    point = inputs.clone().requires_grad_()
    (rows,) = torch.autograd.grad(net.train()(point).sum(), point)
    return rows.flatten(1)


@pytest.mark.parametrize(("name", "expected"), values("epe_nas_101classes"))
def test_published_values_of_many_classes(name, expected):
    net, (inputs, _) = build(name)
    assert _score(jacobian(net, inputs), torch.arange(8) % 3, 101) == pytest.approx(expected, rel=1e-9)


def plainly(rows, classes):
    """One pair of samples after the other."""
    total = 0.0
    for each in set(classes.tolist()):
        own = [row - row.mean() for row in rows[classes == each]]
        total += abs(sum(math.log(abs((a @ b / (a.norm() * b.norm())).item()) + 1e-5) for a in own for b in own))
    return total


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-3), (torch.float64, 1e-9)])
@pytest.mark.parametrize("kind", CONVOLUTIONAL)
def test_against_a_plain_computation(kind, dtype, tolerance, memory_format):
    torch.manual_seed(2)
    net, (inputs, targets) = CONVOLUTIONAL[kind](), image_batch(12)
    expected = plainly(jacobian(net.double(), inputs), targets)
    batch = inputs.to(dtype).contiguous(memory_format=memory_format), targets
    net = net.to(dtype)
    alone = score(net, batch, ["epe_nas"])["epe_nas"].value
    together = score(net, batch, ["snip", "jacob_cov", "epe_nas", "naswot"])["epe_nas"].value
    assert alone == pytest.approx(expected, rel=tolerance)
    assert together == pytest.approx(expected, rel=tolerance)


@settings(max_examples=40, deadline=None)
@given(samples=st.integers(1, 9), columns=st.integers(2, 9), kinds=st.integers(1, 4), seed=st.integers(0, 99))
def test_any_shape(samples, columns, kinds, seed):
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(samples, columns, generator=generator, dtype=torch.float64)
    classes = torch.randint(kinds, (samples,), generator=generator)
    assert _score(rows, classes, kinds) == pytest.approx(plainly(rows, classes), rel=1e-6)


def test_samples_without_a_class_do_not_count():
    net, (inputs, targets) = small_cnn(batchnorm=False).double(), image_batch()
    masked = torch.cat([targets, torch.tensor([-100, -100])])
    more = torch.cat([inputs, image_batch(2)[0]])
    assert score(net, (more, masked), ["epe_nas"])["epe_nas"].value == pytest.approx(
        score(net, (inputs, targets), ["epe_nas"])["epe_nas"].value, rel=1e-9
    )


@pytest.mark.parametrize(
    ("targets", "reason"),
    [
        (torch.full((6, 5), 0.2, dtype=torch.float64), "one class a sample is needed"),
        (torch.full((6,), -100), "no sample has a class"),
    ],
)
def test_targets_that_are_no_classes(targets, reason):
    result = score(small_cnn().double(), (image_batch()[0], targets), ["epe_nas", "jacob_cov"])
    assert result["epe_nas"].status == "undefined"
    assert reason in result["epe_nas"].reason
    assert result["jacob_cov"].status == "ok"


def test_a_constant_jacobian():
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 5)).double()
    nn.init.ones_(net[1].weight)
    result = score(net, image_batch(), ["epe_nas"])["epe_nas"]
    assert (result.status, "constant" in result.reason) == ("undefined", True)


def test_classes_of_one_sample_are_no_pairs_of_many_classes():
    rows = torch.randn(3, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 101)).double()
    result = score(net, (image_batch(3)[0], torch.arange(3)), ["epe_nas"])["epe_nas"]
    assert (result.status, "compares classes" in result.reason) == ("undefined", True)
    assert math.isfinite(_score(rows.repeat(2, 1) + 0.1 * torch.randn(6, 9).double(), torch.arange(6) % 2, 101))
