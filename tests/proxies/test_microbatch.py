"""A minibatch in parts gives the scores of the whole, or none."""

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F  # noqa: N812
from example_nets import Tokens, image_batch, small_cnn

from zcfast.proxies import fisher, grasp
from zcfast.scoring import score

SPLITTABLE = [
    "grad_norm",
    "snip",
    "plain",
    "fisher",
    fisher(weighting="channel", aggregation="elementwise"),
    "jacob_cov",
    "flops",
    "synflow",
    "l2_norm",
    "params",
]


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(11)


@pytest.mark.parametrize("size", [1, 2, 4, 5, 7, 100])
def test_same_numbers(size):
    net = small_cnn(batchnorm=False, inplace=True).double()
    whole = score(net, image_batch(7), SPLITTABLE)
    parts = score(net, image_batch(7), SPLITTABLE, microbatch=size)
    for name, one in whole.items():
        assert (one.status, parts[name].status) == ("ok", "ok")
        assert parts[name].value == pytest.approx(one.value, rel=1e-11), name
        assert parts[name].protocol.microbatch == size


def test_same_numbers_of_tokens_and_in_evaluation_mode():
    net, batch = Tokens().double(), (torch.randint(11, (5, 6)), torch.arange(5) % 3)
    whole, parts = (score(net, batch, SPLITTABLE, microbatch=size) for size in (None, 2))
    assert {k: s.value for k, s in parts.items()} == {k: pytest.approx(s.value, rel=1e-9) for k, s in whole.items()}
    net = small_cnn().double().eval()
    whole, parts = (score(net, image_batch(), SPLITTABLE, microbatch=size, train=False) for size in (None, 4))
    assert {k: s.value for k, s in parts.items()} == {k: pytest.approx(s.value, rel=1e-9) for k, s in whole.items()}


def test_half_precision_parts_sum_in_single_precision():
    net = small_cnn(batchnorm=False).bfloat16()
    whole, parts = (score(net, image_batch(7, torch.bfloat16), ["snip"], microbatch=size) for size in (None, 3))
    assert parts["snip"].value == pytest.approx(whole["snip"].value, rel=0.05)


class FunctionalNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(192, 5)

    def forward(self, x):
        return F.batch_norm(self.layer(x.flatten(1)), None, None, training=True)


REFUSED = {
    "batchnorm": (small_cnn, "BatchNorm"),
    "functional batchnorm": (FunctionalNorm, "BatchNorm"),
    "dropout": (lambda: nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(192, 5)), "random numbers"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_nets_that_cannot_be_split(name):
    build, reason = REFUSED[name]
    net = build().double()
    proxies = ["snip", "fisher", "jacob_cov", "synflow", "l2_norm"]
    result = score(net, image_batch(), proxies, microbatch=2)
    assert [result[n].status for n in proxies] == ["refused"] * 3 + ["ok"] * 2
    assert all(reason in result[n].reason for n in proxies[:3])
    whole = score(net, image_batch(), proxies, microbatch=6)
    assert all(s.status == "ok" for s in whole.values())


@pytest.mark.parametrize("name", ["batchnorm", "functional batchnorm"])
@pytest.mark.parametrize("proxies", [["flops"], ["snip", "jacob_cov", "flops"]])
def test_flops_behind_batchnorm(name, proxies):
    net = REFUSED[name][0]().double()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    # Parts of one sample: behind a linear layer BatchNorm itself would raise.
    whole, parts = (score(net, image_batch(), proxies, microbatch=size)["flops"] for size in (None, 1))
    assert (parts.status, parts.value) == ("ok", whole.value)
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


def test_second_order_cannot_be_split():
    result = score(
        small_cnn(batchnorm=False).double(), image_batch(), ["grasp", grasp(scale_invariant=True), "snip"], microbatch=2
    )
    assert [s.status for s in result.values()] == ["refused", "refused", "ok"]
    assert "microbatch" in result["grasp"].reason


@pytest.mark.parametrize("size", [0, -1, 1.5, True, "8"])
def test_bad_sizes(size):
    with pytest.raises(ValueError, match="microbatch: expected a positive integer"):
        score(small_cnn().double(), image_batch(), ["snip"], microbatch=size)
