"""jacob_cov, epe_nas and ntk_cond where the sum of the logits is constant, so that its derivative is rounding alone."""

import pytest
import torch
from torch import nn

from tests.proxies.plain_torch import evaluate
from zcfast.scoring import score

PROXIES = ["jacob_cov", "epe_nas"]


class Pooled(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.fc = nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.Linear(6, 5)

    def forward(self, x):
        return self.fc(self.norm(self.conv(x)).mean((2, 3)))


def batch(dtype, *shape):
    return torch.randn(6, *shape, generator=torch.Generator().manual_seed(0)).to(dtype), torch.arange(6) % 3


def features(last):
    return nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 5), last)


CONSTANT = {
    "BatchNorm": (lambda: features(nn.BatchNorm1d(5)), (12,)),
    "BatchNorm before linear functions": (Pooled, (3, 8, 8)),
    "layer normalisation": (lambda: features(nn.LayerNorm(5)), (12,)),
    "probabilities": (lambda: features(nn.Softmax(1)), (12,)),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", CONSTANT)
def test_a_constant_sum_of_logits_has_no_scores(name, dtype):
    make, shape = CONSTANT[name]
    torch.manual_seed(0)
    scores = score(make().to(dtype), batch(dtype, *shape), [*PROXIES, "snip"])
    assert {scores[each].status for each in PROXIES} == {"undefined"}
    assert all("rounding decides" in scores[each].reason for each in PROXIES)
    assert scores["snip"].status == "ok"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_constant_sum_of_each_samples_logits_has_no_tangent_kernel(dtype):
    torch.manual_seed(0)
    result = score(features(nn.Softmax(1)).to(dtype), batch(dtype, 12), ["ntk_cond"])["ntk_cond"]
    assert (result.status, "rounding decides" in result.reason) == ("undefined", True)


@pytest.mark.parametrize("shift", [0.0, 1e9])
def test_logits_that_are_large_whatever_the_inputs_have_scores(shift):
    torch.manual_seed(0)
    net = features(nn.Tanh()).double()
    nn.init.constant_(net[2].bias, 0.0)
    net.append(nn.Linear(5, 5).double())
    nn.init.constant_(net[4].bias, shift)
    data = batch(torch.float64, 12)
    scores = score(net, data, PROXIES)
    assert scores["jacob_cov"].value == pytest.approx(evaluate(net, data, ["jacob_cov"])["jacob_cov"], rel=1e-6)
    assert scores["epe_nas"].status == "ok"
