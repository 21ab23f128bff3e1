"""grasp without a second-order pass, by the scale invariance that BatchNorm gives."""

import re

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F  # noqa: N812
from example_nets import ResNet, image_batch, small_cnn
from golden_nets import NASBench101Chain, NASBench201

from zcfast.proxies import fisher, grasp
from zcfast.scoring import score

INVARIANT = grasp(scale_invariant=True)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(7)


def both(net, batch, **options):
    result = score(net, batch, ["grasp", INVARIANT], per_layer=True, **options)
    return result["grasp"], result[INVARIANT.label]


class Forked(nn.Module):
    """The convolution's output is used beside BatchNorm too."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3), nn.Linear(3, 5)

    def forward(self, x):
        x = self.conv(x)
        return self.head((x + self.norm(x)).mean((2, 3)))


class Scaled(nn.Module):
    """The logits are not the classifier's output."""

    def __init__(self):
        super().__init__()
        self.net = small_cnn()

    def forward(self, x):
        return 2 * self.net(x)


def tied():
    net = nn.Sequential(
        nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3), nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(48, 5)
    )
    net[2].weight = net[0].weight
    return net


class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head, self.other = nn.Sequential(*list(small_cnn())[:9]), nn.Linear(6, 5), nn.Linear(6, 5)

    def forward(self, x):
        x = self.body(x)
        return self.head(x) + self.other(x)


class Penalised(nn.Module):
    """A weight acts on the logits beside the layer that holds it."""

    def __init__(self):
        super().__init__()
        self.net = small_cnn()

    def forward(self, x):
        return self.net(x) * (self.net[0].weight ** 2).sum()


NETS = {
    "cnn": small_cnn,
    "inplace": lambda: small_cnn(inplace=True),
    "nasbench101": lambda: NASBench101Chain(8, 5),
    "resnet": lambda: ResNet((1, 2), 8, 5),
    "no classifier": lambda: nn.Sequential(*list(small_cnn())[:6], nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    "classifier without bias": lambda: nn.Sequential(*list(small_cnn())[:9], nn.Linear(6, 5, bias=False)),
    "mlp": lambda: nn.Sequential(
        nn.Flatten(),
        nn.Linear(192, 9),
        nn.BatchNorm1d(9),
        nn.GELU(),
        nn.Linear(9, 7),
        nn.BatchNorm1d(7),
        nn.Linear(7, 5),
    ),
    # from here on some layers are not scale-invariant, and take their part of the second-order pass
    "shortcuts without batchnorm": lambda: NASBench201(
        "|nor_conv_3x3~0|+|avg_pool_3x3~0|nor_conv_1x1~1|+|skip_connect~0|none~1|nor_conv_3x3~2|", 4, 5
    ),
    "scaled": Scaled,
    "two heads": TwoHeads,
    "penultimate layer": lambda: nn.Sequential(*list(small_cnn())[:9], nn.Linear(6, 7), nn.Tanh(), nn.Linear(7, 5)),
    "weight used beside its layer": Penalised,
}


@pytest.mark.parametrize("name", NETS)
def test_agrees_but_for_eps(name):
    net = NETS[name]().double()
    for child in net.modules():
        if isinstance(child, (nn.BatchNorm1d, nn.BatchNorm2d)):
            child.eps = 1e-12
    exact, invariant = both(net, image_batch(12))
    assert invariant.status == "ok", invariant.reason
    assert invariant.value == pytest.approx(exact.value, rel=1e-6)
    scale = exact.per_layer.abs().sum()
    assert torch.allclose(invariant.per_layer, exact.per_layer, rtol=1e-6, atol=1e-7 * scale)


def test_stated_error_with_the_default_eps():
    net = NASBench101Chain(16, 5).double()
    exact, invariant = both(net, image_batch(16))
    error = (invariant.per_layer - exact.per_layer).abs().max() / exact.per_layer.abs().max()
    assert 0 < error < 2e-4


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])  # BatchNorm of this package, and torch's
def test_refused_where_variances_are_near_eps(dtype):
    net = NASBench101Chain(16, 5).to(dtype)
    images, targets = image_batch(16)
    statuses = [score(net, (images.to(dtype) * f, targets), [INVARIANT])[INVARIANT.label] for f in (1, 1e-4)]
    assert [each.status for each in statuses] == ["ok", "refused"]
    assert re.search("the variance behind layer '.*' is within [0-9.]+ times BatchNorm's eps", statuses[1].reason)


class Shifted(nn.Conv2d):
    def forward(self, x):
        return F.conv2d(x, self.weight + 1)


def test_a_weight_that_is_changed_before_its_layer_is_not_invariant():
    net = nn.Sequential(Shifted(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 4, 3), nn.BatchNorm2d(4))
    net = nn.Sequential(*net, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5)).double()
    exact, invariant = both(net, image_batch(16))
    assert invariant.status == "ok", invariant.reason
    assert torch.allclose(invariant.per_layer, exact.per_layer, rtol=1e-3, atol=1e-3 * exact.per_layer.abs().max())


def test_a_constant_channel_is_invariant():
    net = NASBench101Chain(16, 5).double()
    with torch.no_grad():
        next(module for module in net.modules() if isinstance(module, nn.Conv2d)).weight[3] = 0
    exact, invariant = both(net, image_batch(16))
    assert invariant.status == "ok"
    assert invariant.value == pytest.approx(exact.value, rel=1e-2)


def test_any_loss_of_the_logits():
    net = small_cnn().double()
    net[1].eps = net[5].eps = 1e-12
    targets = torch.randn(6, 5, dtype=torch.float64)
    exact, invariant = both(net, (image_batch()[0], targets), loss_fn=lambda y, t: (y - t).pow(4).mean())
    assert invariant.value == pytest.approx(exact.value, rel=1e-6)


def test_beside_fisher_whose_copies_lie_between():
    net = small_cnn(inplace=True).double()
    alone = score(net, image_batch(), [INVARIANT])[INVARIANT.label].value
    assert score(net, image_batch(), [fisher(), INVARIANT])[INVARIANT.label].value == alone


REFUSED = {
    "no batchnorm": (lambda: small_cnn(batchnorm=False), "'0'"),
    "forked": (Forked, "'conv'"),
    "tied": (tied, "ties"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_where_it_does_not_hold(name):
    build, reason = REFUSED[name]
    exact, invariant = both(build().double(), image_batch())
    assert exact.status == "ok"
    assert invariant.status == "refused"
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(invariant.reason)


def test_refused_in_evaluation_mode():
    _, invariant = both(small_cnn().double().eval(), image_batch(), train=False)
    assert (invariant.status, "train-mode" in invariant.reason) == ("refused", True)


def test_exact_against_the_whole_hessian():
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    inputs, targets = torch.randn(5, 3, dtype=torch.float64), torch.arange(5) % 2
    names = ["0.weight", "2.weight"]
    sizes = [net.get_parameter(name).numel() for name in names]

    def loss(flat):
        parts = dict(zip(names, flat.split(sizes), strict=True))
        weights = {name: part.view_as(net.get_parameter(name)) for name, part in parts.items()}
        return F.cross_entropy(torch.func.functional_call(net, weights, (inputs,)), targets)

    flat = torch.cat([net.get_parameter(name).detach().flatten() for name in names])
    product = torch.func.hessian(loss)(flat) @ torch.func.grad(loss)(flat)
    expected = [-(a @ b).item() for a, b in zip(flat.split(sizes), product.split(sizes), strict=True)]
    got = score(net, (inputs, targets), ["grasp"], per_layer=True)["grasp"]
    assert got.per_layer.tolist() == pytest.approx(expected, rel=1e-11)


def test_a_weight_used_beside_its_layer_is_not_taken_for_invariant():
    class Reused(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.bn = nn.Conv2d(3, 3, 3, padding=1, bias=False), nn.BatchNorm2d(3)
            self.other, self.other_bn = nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4)
            self.classifier = nn.Linear(4, 5)

        def forward(self, x):
            x = self.bn(self.conv(x)) + nn.functional.conv2d(x, self.conv.weight, padding=1)
            return self.classifier(torch.relu(self.other_bn(self.other(x))).mean((2, 3)))

    torch.manual_seed(0)
    batch = torch.randn(6, 3, 8, 8, dtype=torch.float64), torch.arange(6) % 5
    result = score(Reused().double(), batch, ["grasp", grasp(scale_invariant=True)], per_layer=True)
    exact, invariant = (each.per_layer for each in result.values())
    torch.testing.assert_close(invariant, exact, rtol=0, atol=1e-3 * exact.abs().max().item())
