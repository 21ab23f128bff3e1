"""Which targets the default loss takes, and what it says of others."""

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F  # noqa: N812

from tests.proxies.plain_torch import check
from zcfast.scoring import score

pytestmark = pytest.mark.usefixtures("one_thread")
INPUTS = torch.randn(6, 5, generator=torch.Generator().manual_seed(1))
NAMES = ["grad_norm", "snip", "grasp", "fisher", "plain"]


def net(outputs=4):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, outputs))


def probabilities():
    return torch.randn(6, 4, generator=torch.Generator().manual_seed(2)).softmax(1)


@pytest.mark.parametrize(
    "targets",
    [
        torch.tensor([0, 1, -100, 3, 2, -100]),
        torch.tensor([0, 1, 2, 3, 0, 1], dtype=torch.uint8),
        probabilities(),
        F.one_hot(torch.arange(6) % 4).float() * 0.9 + 0.025,
    ],
)
def test_targets_of_cross_entropy(targets):
    check(net(), (INPUTS, targets), NAMES)
    ours, explicit = (score(net(), (INPUTS, targets), NAMES, loss_fn=loss) for loss in (None, F.cross_entropy))
    assert {k: s.value for k, s in ours.items()} == {k: s.value for k, s in explicit.items()}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_probabilities_of_any_precision(dtype):
    ours = score(net(), (INPUTS, probabilities().to(dtype)), ["snip"])["snip"]
    assert ours.status == "ok"
    assert ours.value == pytest.approx(score(net(), (INPUTS, probabilities()), ["snip"])["snip"].value, rel=0.02)


def test_where_every_target_is_ignored_there_is_no_score():
    assert score(net(), (INPUTS, torch.full((6,), -100)), ["snip"])["snip"].status == "undefined"


def test_ignored_pixels():
    torch.manual_seed(0)
    segmenter = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 5, 1))
    targets = torch.randint(0, 5, (4, 6, 6))
    targets[:, 0] = -100
    batch = torch.randn(4, 3, 6, 6), targets
    check(segmenter, batch, NAMES)
    ours, explicit = (score(segmenter, batch, NAMES, loss_fn=loss) for loss in (None, F.cross_entropy))
    assert {k: s.value for k, s in ours.items()} == {k: s.value for k, s in explicit.items()}


def test_language_models_are_told_how():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.embedding, self.head = nn.Embedding(11, 6), nn.Linear(6, 11)

        def forward(self, tokens):
            return self.head(self.embedding(tokens))

    tokens = torch.randint(0, 11, (4, 7))
    with pytest.raises(ValueError, match=r"expected shape \(4, 11\).*logits=lambda out: out.transpose\(1, 2\)"):
        score(Model(), (tokens, tokens), ["snip"])
    check(Model(), (tokens, tokens), NAMES, logits=lambda out: out.transpose(1, 2))


@pytest.mark.parametrize(
    ("outputs", "targets", "message"),
    [
        (1, torch.rand(6, 1), r"logits: expected two classes or more, got shape \(6, 1\); .* by loss_fn"),
        (1, torch.zeros(6, dtype=torch.int64), "logits: expected two classes or more"),
        (4, torch.rand(6), r"targets: expected probabilities \(6, 4\), got \(6,\); .* by loss_fn"),
        (4, torch.rand(6, 1), "targets: expected probabilities"),
        (4, torch.randn(6, 4), "which sum to 1 over the classes, got -"),
        (4, torch.ones(6, 4), "which sum to 1 over the classes, got 1 to 1 with sums 4 to 4"),
        (4, torch.ones(6, dtype=torch.bool), "targets: expected classes as integers or probabilities as floats"),
        (4, torch.ones(6, dtype=torch.complex64), "targets: expected classes as integers or probabilities as floats"),
        (4, torch.arange(6), "targets: expected classes 0 to 3, or -100 to ignore, got 0 to 5"),
        (4, torch.tensor([0, 1, 2, -1, 0, 0]), "got -1 to 2"),
        (4, torch.zeros(6, 4, dtype=torch.int64), r"targets: expected shape \(6,\) for the default loss, got \(6, 4\)"),
    ],
)
def test_targets_of_another_loss_are_refused(outputs, targets, message):
    with pytest.raises(ValueError, match=message):
        score(net(outputs), (INPUTS, targets), ["snip"])
    assert score(net(outputs), (INPUTS, targets), ["jacob_cov", "flops"])["jacob_cov"].status == "ok"


@pytest.mark.parametrize(
    "loss_fn", [F.mse_loss, F.l1_loss, lambda out, t: F.binary_cross_entropy_with_logits(out, t.sigmoid())]
)
def test_their_own_loss(loss_fn):
    check(net(1), (INPUTS, torch.randn(6, 1)), NAMES, loss_fn=loss_fn)
