"""Nets that pass no gradient: what needs one is refused, and all else has its score."""

import pytest
import torch
from torch import nn

from zcfast.proxies import registered
from zcfast.scoring import score

BATCH = (
    torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(0)),
    torch.tensor([0, 1, 2, 0, 1, 2]),
)
NAMES = [name for name, kind in registered().items() if kind.__module__.startswith("zcfast.")]
REASONS = ("no gradient leads to the logits", "under no_grad")
BY_VALUES = {
    *("flops", "head_confidence", "hidden_cov", "l2_norm", "linear_regions", "meco", "meco_opt"),
    *("multiply_adds", "naswot", "params", "swap", "swap_universal", "vkdnw_dim", "zen"),
}
OF_BLOCKS = {"az_expressivity", "az_progressivity", "az_trainability"}


class Block(nn.Sequential):
    def __init__(self, inputs, outputs, stride):
        layers = nn.Conv2d(inputs, outputs, 3, stride, 1), nn.BatchNorm2d(outputs), nn.ReLU()
        super().__init__(*layers, nn.Conv2d(outputs, outputs, 3, 1, 1), nn.BatchNorm2d(outputs), nn.ReLU())


class Net(nn.Module):
    """Blocks of convolutions, attention and a recurrence, and what may stand around them."""

    def __init__(self):
        super().__init__()
        self.one, self.two, self.three = Block(3, 8, 1), Block(8, 8, 1), Block(8, 8, 2)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.recurrence, self.head = nn.GRU(8, 4, batch_first=True), nn.Linear(4, 3)

    def forward(self, x):
        tokens = self.three(self.two(self.one(x))).flatten(2).transpose(1, 2)
        tokens = tokens + self.attention(tokens, tokens, tokens)[0]
        return self.head(self.recurrence(tokens)[0].mean(1))


class NoGrad(Net):
    def forward(self, x):
        with torch.no_grad():
            return super().forward(x)


class Detached(Net):
    def forward(self, x):
        return super().forward(x).detach()


class ThroughNumpy(Net):
    def forward(self, x):
        return torch.tensor(super().forward(x).detach().numpy())


class Rounded(Net):
    def forward(self, x):
        return super().forward(x).round()


def scored(kind, names):
    torch.manual_seed(0)
    return score(kind(), BATCH, names)


@pytest.mark.parametrize("kind", [NoGrad, Detached, ThroughNumpy])
@pytest.mark.parametrize("name", NAMES)
def test_what_needs_a_gradient_is_refused(name, kind):
    whole, cut = scored(Net, [name])[name], scored(kind, [name])[name]
    assert whole.status == "ok"
    if name in BY_VALUES or (name in OF_BLOCKS and kind is not NoGrad):
        assert (cut.status, cut.value) == ("ok", pytest.approx(whole.value, rel=1e-4))
    else:
        assert cut.status == "refused"
        assert any(reason in cut.reason for reason in REASONS)


@pytest.mark.parametrize("kind", [NoGrad, Detached, ThroughNumpy])
def test_all_at_once_are_what_each_is_alone(kind):
    names = [name for name in NAMES if name not in BY_VALUES | OF_BLOCKS]
    assert {one.status for one in scored(kind, names).values()} == {"refused"}


def test_gradients_of_zero_count():
    names = ["snip", "grad_norm", "fisher", "grasp", "plain", "synflow", "logsynflow", "gradsign"]
    assert {(one.status, one.value) for one in scored(Rounded, names).values()} == {("ok", 0.0)}


def test_a_net_without_parameters_needs_none():
    net = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    assert score(net, BATCH, ["depth"])["depth"].value == 0
