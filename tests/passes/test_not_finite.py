"""Nets whose values or gradients are not numbers have no score, whatever a proxy does with them."""

import pytest
import torch
from torch import nn

from zcfast import score
from zcfast.proxies.base import registered

COUNTS = {"params", "vkdnw_dim", "flops", "multiply_adds", "l2_norm", "depth"}
FORWARD = {"naswot", "linear_regions", "swap", "swap_universal", "zen", "meco", "meco_opt"}  # take no gradient
FORWARD |= {"az_expressivity", "az_progressivity"}


class Spoilt(nn.Module):
    """What goes through it is NaN, or has a NaN derivative."""

    def __init__(self, forward):
        super().__init__()
        self.spoils_forward = forward

    def forward(self, x):
        nan = torch.full((), torch.nan, dtype=x.dtype)
        return x * nan if self.spoils_forward else x + 0 * (x - x.detach()).abs().sqrt()


@pytest.mark.parametrize("forward", [True, False])
def test_is_never_ok(forward):
    parts = [nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1)]
    parts += [Spoilt(forward), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 4)]
    net = nn.Sequential(*parts).double()
    batch = torch.randn(6, 3, 6, 6, dtype=torch.float64), torch.arange(6) % 4
    ok = {name for name, each in score(net, batch, [*registered()]).items() if each.status == "ok"}
    assert ok <= COUNTS | (set() if forward else FORWARD)
