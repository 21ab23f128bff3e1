"""naswot: the published codes' values, an independent computation, and where it has none."""

import math

import pytest
import torch
import torch.nn as nn

from tests.golden import benchmark_nets, nets
from tests.golden.modern_cases import CASES, WithModules, build
from tests.proxies.example_nets import ResNet, image_batch, small_cnn
from zcfast.proxies import Naswot
from zcfast.scoring import score


# Codes that count wrappers have other values where there are some; FreeREA's sums in float32.
@pytest.mark.parametrize("name", [name for name in CASES if "nwot_freerea" in CASES[name]["results"]])
def test_published_values(name):
    net, batch = build(name)
    result, expected = score(net, batch, ["naswot"])["naswot"], CASES[name]["results"]
    assert result.value == pytest.approx(expected["nwot_freerea"]["value"], rel=1e-6)
    if not name.startswith("b_"):
        assert result.value == pytest.approx(expected["nwot_naslib"]["value"], rel=1e-13)


def test_published_value_of_linear_layers():
    net = nets.MLP().double()
    nets.fill(list(net.named_parameters()))
    batch = nets.make_input([8, 3, 4, 4]), nets.make_targets(8, 5)
    assert score(WithModules(net), batch, ["naswot"])["naswot"].value == pytest.approx(
        22.8872871, rel=1e-6
    )  # in float32


def plainly(net, inputs):
    """Float64, one pair of samples after the other."""
    patterns = []
    hooks = [
        child.register_forward_hook(lambda _, args, out: patterns.append((out > 0).flatten(1)))
        for child in net.modules()
        if isinstance(child, nn.ReLU)
    ]
    net.train()(inputs)
    for hook in hooks:
        hook.remove()
    whole = torch.cat(patterns, 1)
    kernel = torch.tensor([[(a == b).sum().item() for b in whole] for a in whole], dtype=torch.float64)
    return torch.linalg.slogdet(kernel).logabsdet.item()


NETS = {
    "small": lambda: small_cnn(),
    "in place": lambda: small_cnn(inplace=True),
    "resnet": lambda: ResNet((1, 1, 1, 1), width=4, classes=5),
    "nasbench201": lambda: benchmark_nets.NASBench201(CASES["b_nb201_mixed"]["arch"], 4, 5),
    "shared": lambda: nn.Sequential(
        nn.Conv2d(3, 4, 3), *[nn.Sequential(nn.ReLU())] * 2, nn.Flatten(), nn.Linear(144, 5)
    ),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", NETS)
def test_against_a_plain_computation(kind, dtype):
    torch.manual_seed(2)
    net, batch = NETS[kind]().to(dtype), image_batch(7, dtype)
    together = score(net, batch, ["snip", "grasp", "naswot", "jacob_cov"])["naswot"]
    alone = score(net, batch, ["naswot"])["naswot"]
    assert alone.value == together.value == pytest.approx(plainly(net, batch[0]), rel=1e-12)


def test_equal_samples_make_it_infinitely_low():
    images, targets = image_batch(4)
    result = score(small_cnn(batchnorm=False).double(), (images[[0, 1, 2, 0]], targets), ["naswot"])["naswot"]
    assert (result.value, result.status) == (-math.inf, "ok")


def test_one_sample_is_the_number_of_relus():
    net = small_cnn(batchnorm=False).double()
    images, targets = image_batch(1)
    result = score(net, (images, targets), [Naswot()])["naswot"]
    assert result.value == pytest.approx(math.log(4 * 64 + 6 * 16))


def test_relus_of_other_rows_than_samples():
    class Folded(nn.Sequential):
        def forward(self, x):
            return self[2](self[1](self[0](x.flatten(0, 1).flatten(1))).unflatten(0, (-1, 3)).mean(1))

    net = Folded(nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 5)).double()
    result = score(net, image_batch(), ["naswot"])["naswot"]
    assert (result.status, result.reason) == (
        "undefined",
        "an activation has 18 rows where the minibatch has 6 samples",
    )


def test_numbers_that_are_none_have_no_pattern():
    net = small_cnn().double()
    net[4].weight.data[0, 0, 0, 0] = torch.nan
    result = score(net, image_batch(), ["naswot"])["naswot"]
    assert (result.status, result.reason) == ("undefined", "the output of an activation is not a number")


def test_checkpointed_relus_count_once():
    class Checkpointed(nn.Sequential):
        def forward(self, x):
            return torch.utils.checkpoint.checkpoint(super().forward, x, use_reentrant=False)

    torch.manual_seed(2)
    net = small_cnn()
    expected = score(net, image_batch(dtype=torch.float32), ["naswot"])["naswot"].value
    result = score(Checkpointed(*net), image_batch(dtype=torch.float32), ["naswot", "snip"])
    assert result["naswot"].value == pytest.approx(expected)
