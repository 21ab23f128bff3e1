"""grasp against the whole Hessian."""

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F  # noqa: N812

from zcfast.scoring import score


def test_exact_against_the_whole_hessian():
    torch.manual_seed(7)
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
