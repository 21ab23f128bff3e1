"""Nets that read BatchNorm's running statistics in the forward pass that moves them."""

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F  # noqa: N812

from tests.proxies.plain_torch import check
from zcfast.passes.cpu_backend.channels_last import ChannelsLast
from zcfast.scoring import score

NAMES = ("grad_norm", "snip", "plain", "fisher", "grasp", "jacob_cov")
BATCH = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1)), torch.arange(4)


class Net(nn.Module):
    """A convolution, a BatchNorm and a classifier; a subclass says how the norm is used."""

    def __init__(self, norm):
        super().__init__()
        torch.manual_seed(0)
        self.body, self.norm, self.head = nn.Conv2d(3, 8, 3, padding=1), norm, nn.Linear(8, 5)

    def forward(self, x):
        return self.head(self.use(self.body(x)).relu().mean((2, 3)))


class Corrected(Net):
    """As batch renormalisation: shifted by how far the running mean is from the minibatch's."""

    def use(self, z):
        normal = self.norm(z)
        return normal + (self.norm.running_mean - z.detach().mean((0, 2, 3)))[None, :, None, None]


class Divided(Net):
    """By the running deviation of both BatchNorm calls."""

    def use(self, z):
        normal = self.norm(self.norm(z) + z)
        return normal / self.norm.running_var.sqrt()[None, :, None, None]


class BothWays(Net):
    """In training, then in evaluation mode."""

    def use(self, z):
        trained = self.norm(z)
        self.norm.eval()
        evaluated = self.norm(z)
        self.norm.train()
        return evaluated + trained / 8


class EvaluatedFirst(Net):
    """The graph of the first call holds statistics that the second one moves."""

    def use(self, z):
        self.norm.eval()
        evaluated = self.norm(z)
        self.norm.train()
        return evaluated + self.norm(z) / 8


class Counted(Net):
    def use(self, z):
        return self.norm(self.norm(z)) * self.norm.num_batches_tracked


NORMS = {
    "plain": lambda: nn.BatchNorm2d(8),
    "cumulative": lambda: nn.BatchNorm2d(8, momentum=None),
    "no momentum": lambda: nn.BatchNorm2d(8, momentum=0.0),
    "forgetful": lambda: nn.BatchNorm2d(8, momentum=1.0),
    "not affine": lambda: nn.BatchNorm2d(8, affine=False, eps=0.1),
    "synchronised": lambda: nn.SyncBatchNorm(8),
    "frozen": lambda: nn.BatchNorm2d(8).requires_grad_(False),
}


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("kind", [Corrected, Divided, BothWays, EvaluatedFirst, Counted])
def test_they_move_during_the_pass(kind, norm):
    check(kind(NORMS[norm]()), BATCH, NAMES)


@pytest.mark.parametrize("samples", [1, 4])
def test_without_running_statistics(samples):
    class Plain(Net):
        def use(self, z):
            return self.norm(z)

    names = NAMES if samples > 1 else NAMES[:-1]  # jacob_cov takes two samples
    check(Plain(nn.BatchNorm2d(8, track_running_stats=False)), [each[:samples] for each in BATCH], names)
    check(Plain(nn.BatchNorm2d(8)), [each[:samples] for each in BATCH], names)


@pytest.mark.parametrize("size", [(2, 8, 1, 1), (1, 8, 1, 2), (3, 8, 4, 4)])
@pytest.mark.parametrize("momentum", [0.0, 0.3, 1.0, 1])
def test_they_are_those_of_torch(size, momentum):
    x = torch.randn(size).contiguous(memory_format=torch.channels_last) * 5 + 7
    ours, theirs = ([torch.randn(8), torch.rand(8) + 1] for _ in range(2))
    for mine, its in zip(ours, theirs, strict=True):
        its.copy_(mine)
    with ChannelsLast():
        F.batch_norm(x, *ours, training=True, momentum=momentum)
    F.batch_norm(x.contiguous(), *theirs, training=True, momentum=momentum)
    torch.testing.assert_close(ours, theirs, rtol=2e-6, atol=1e-6)
    assert [each._version for each in ours] == [0, 0]  # as torch has it: a graph may hold what they were


def test_a_constant_channel_has_no_variance():
    x = torch.full((2, 3, 4, 4), 1000.0).contiguous(memory_format=torch.channels_last)
    mean, variance = torch.zeros(3), torch.ones(3)
    with ChannelsLast():
        F.batch_norm(x, mean, variance, training=True, momentum=1.0)
    assert mean.tolist() == [1000.0] * 3
    assert (variance >= 0).all()
    assert (variance < 1e-9).all()


@pytest.mark.parametrize("statistics", [(torch.zeros(3), torch.ones(3)), (torch.zeros(8), None)])
def test_statistics_that_do_not_fit_are_an_error_as_in_torch(statistics):
    class Misfit(Net):
        def use(self, z):
            return F.batch_norm(z, *statistics, training=True)

    assert score(Misfit(nn.Identity()), BATCH, ["snip"])["snip"].status == "failed"


def test_one_value_a_channel_is_an_error_as_in_torch():
    class Late(Net):
        def use(self, z):
            return self.norm(z.mean((2, 3), keepdim=True))

    found = score(Late(nn.BatchNorm2d(8)), [each[:1] for each in BATCH], ["snip"])["snip"]
    assert found.status == "failed"
    assert "Expected more than 1 value per channel" in found.reason
