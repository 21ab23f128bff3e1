"""A minibatch in parts gives the scores of the whole, or none."""

import numpy as np
import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F  # noqa: N812
from example_nets import Tokens, image_batch, small_cnn

from zcfast.proxies import fisher
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
    result = score(small_cnn(batchnorm=False).double(), image_batch(), ["grasp", "snip"], microbatch=2)
    assert [s.status for s in result.values()] == ["refused", "ok"]
    assert "microbatch" in result["grasp"].reason


def mean(logits, targets):
    return F.mse_loss(logits.softmax(1), F.one_hot(targets, 5).to(logits.dtype))


def ratio(logits, targets):
    """Of the whole minibatch: no sum over samples."""
    return F.cross_entropy(logits, targets) / logits.detach().square().mean()


NO_MEANS = {
    "weights": nn.CrossEntropyLoss(weight=torch.tensor([1, 1, 1, 1, 2.0]).double()),
    "ignored targets": nn.CrossEntropyLoss(ignore_index=1),
    "sum": nn.CrossEntropyLoss(reduction="sum"),
    "ratio": ratio,
}


@pytest.mark.parametrize("size", [1, 2, 4])
def test_losses_that_are_means(size):
    net = small_cnn(batchnorm=False).double()
    for loss in (mean, nn.CrossEntropyLoss(label_smoothing=0.1)):
        whole, parts = (score(net, image_batch(7), ["snip"], loss_fn=loss, microbatch=n)["snip"] for n in (None, size))
        assert parts.value == pytest.approx(whole.value, rel=1e-11)


@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("loss", NO_MEANS)
def test_losses_that_are_no_means_are_refused(size, loss):
    batch = image_batch(5)[0], torch.tensor([0, 0, 0, 1, 4])
    result = score(small_cnn(False).double(), batch, SPLITTABLE, loss_fn=NO_MEANS[loss], microbatch=size)
    refused = {"grad_norm", "snip", "plain", "fisher", "fisher(weighting='channel', aggregation='elementwise')"}
    assert {name for name, s in result.items() if s.status == "refused"} == refused
    assert all("not a mean" in result[name].reason for name in refused)


def test_a_loss_that_takes_no_two_parts_as_one():
    weights = torch.tensor([1.0, 2.0])  # of the samples of a part

    def loss(logits, targets):
        return (F.cross_entropy(logits, targets, reduction="none") * weights).mean()

    one = score(small_cnn(False).double(), image_batch(), ["snip"], loss_fn=loss, microbatch=2)["snip"]
    assert (one.status, "cannot take two parts as one" in one.reason) == ("refused", True)


class StandardisedByHand(nn.Sequential):
    def forward(self, x):
        x = super().forward(x)
        return (x - x.mean(0)) / (x.var(0, correction=0) + 1)


class LogitsTimeFirst(nn.Sequential):
    def forward(self, x):
        return super().forward(x).expand(4, -1, -1)


@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("kind", [StandardisedByHand, LogitsTimeFirst])
def test_nets_that_mix_samples_are_refused(kind, size):
    def loss(logits, targets):
        return F.cross_entropy(logits if logits.dim() == 2 else logits.mean(0), targets)

    net = kind(nn.Flatten(), nn.Linear(192, 5)).double()
    proxies = ["snip", "jacob_cov", "flops", "l2_norm"]
    result = score(net, image_batch(), proxies, loss_fn=loss, microbatch=size)
    assert [one.status for one in result.values()] == ["refused"] * 2 + ["ok"] * 2
    assert "depend on the others, or come not sample by sample" in result["snip"].reason


def test_sizes_of_numpy():
    result = score(small_cnn(False).double(), image_batch(), ["snip"], microbatch=np.int64(2))["snip"]
    assert (result.status, type(result.protocol.microbatch)) == ("ok", int)


class TimeFirst(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.head = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0), nn.Linear(8, 5)

    def forward(self, x):
        return self.head(self.layer(x.flatten(2).transpose(0, 1)[..., :8]).mean(0))


class Experts(nn.Module):
    """Each sample goes to one of two layers; to the second of them none that is negative."""

    def __init__(self):
        super().__init__()
        self.experts, self.head = nn.ModuleList(nn.Linear(8, 8) for _ in range(2)), nn.Linear(8, 5)

    def forward(self, x):
        x = x.mean((1, 2))
        chosen = (x[:, 0] > 0).long()
        y = torch.zeros_like(x)
        for index, expert in enumerate(self.experts):
            rows = (chosen == index).nonzero()[:, 0]
            y = y.index_put((rows,), F.silu(expert(x[rows])))
        return self.head(y)


class OneByOne(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, 5)

    def forward(self, x):
        return self.head(F.silu(torch.cat([self.conv(image[None]) for image in x])).mean((2, 3)))


class Windows(OneByOne):
    def forward(self, x):
        return self.head(F.silu(self.conv(x.reshape(-1, 3, 4, 8))).mean((2, 3)).reshape(len(x), 2, 4).mean(1))


@pytest.mark.parametrize("size", [1, 2, 3, 4])
@pytest.mark.parametrize(
    ("build", "status"), [(TimeFirst, "refused"), (Experts, "refused"), (OneByOne, "refused"), (Windows, "ok")]
)
def test_layers_whose_rows_are_no_samples(build, status, size):
    net = build().double()
    whole, parts = (score(net, image_batch(), SPLITTABLE[:-4], microbatch=n) for n in (None, size))
    for name, one in parts.items():
        if status == "refused" and name.startswith("fisher"):
            assert (one.status, "samples first" in one.reason) == ("refused", True)
        else:
            assert one.value == pytest.approx(whole[name].value, rel=1e-9), name


@pytest.mark.parametrize("size", [0, -1, 1.5, True, "8"])
def test_bad_sizes(size):
    with pytest.raises(ValueError, match=r"microbatch: expected an? (positive )?integer, got"):
        score(small_cnn().double(), image_batch(), ["snip"], microbatch=size)


def test_float32_inside_of_float64_is_no_dependence():
    class Inner(nn.Sequential):
        def forward(self, x):
            return super().forward(x.float()).double()

    def loss(logits, targets):
        return F.cross_entropy(logits.float(), targets)

    net = Inner(nn.Flatten(), nn.Linear(192, 64), nn.Tanh(), nn.Linear(64, 5))
    for size in (1, 2, 5):
        one = score(net, image_batch(64), ["snip"], loss_fn=loss, microbatch=size)["snip"]
        assert one.status == "ok", one.reason
