import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tests.expected import networks
from tests.shared import CELL_SPACES
from zcfast.spaces import space
from zcfast.spaces.nasbench101.closed_forms import nasbench101_expected_synflow
from zcfast.spaces.nasbench201.closed_forms import nasbench201_expected_synflow

SMALL = {
    "nasbench101": {"stem_channels": 8, "modules": 1, "resolution": 16, "classes": 5},
    "nasbench201": {"stem_channels": 4, "modules": 1, "resolution": 16, "classes": 5},
}


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("name", CELL_SPACES)
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_parameters_equal_the_space_formula(name, data):
    each = space(name)
    cell = each.enumerate()[data.draw(st.integers(0, len(each) - 1))]
    options = {"stem_channels": data.draw(st.integers(5, 12)), "modules": data.draw(st.integers(1, 2)), "classes": 7}
    assert count(each.build(cell, **options)) == each.params(cell, **options).item()


@pytest.mark.parametrize("name", CELL_SPACES)
def test_full_size_parameters(name):
    cell = space(name).sample(1, torch.Generator().manual_seed(2))
    assert count(space(name).build(cell)) == space(name).params(cell).item()


@pytest.mark.parametrize("name", CELL_SPACES)
@pytest.mark.parametrize("batch_norm", [True, False])
def test_shapes_and_train_mode(name, batch_norm):
    each = space(name)
    for cell in (each.enumerate()[0], each.sample(1, torch.Generator().manual_seed(0))):
        module = each.build(cell, batch_norm=batch_norm, **SMALL[name])
        assert module.training
        assert module(torch.randn(2, 3, 16, 16)).shape == (2, 5)
        assert any(isinstance(m, nn.BatchNorm2d) for m in module.modules()) == batch_norm


@pytest.mark.parametrize("name", CELL_SPACES)
@given(data=st.data(), initialisation=st.sampled_from(["kaiming_fan_out", "kaiming_fan_in", "pytorch"]))
@settings(max_examples=40, deadline=None)
def test_mean_weights_give_the_closed_form(name, data, initialisation):
    """The built network without BatchNorm is the one that expected synflow describes."""
    each = space(name)
    cell = each.enumerate()[data.draw(st.integers(0, len(each) - 1))]
    module = each.build(cell, batch_norm=False, initialisation=initialisation, **SMALL[name]).double()
    with torch.no_grad():
        for layer in module.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                kind = "linear" if isinstance(layer, nn.Linear) else "conv"
                weight = networks.mean_weights(initialisation)
                layer.weight.copy_(weight(tuple(layer.weight.shape), kind))
                if layer.bias is not None:
                    layer.bias.copy_(weight((layer.weight.shape[0], layer.weight[0].numel()), "bias"))
    weights = [layer.weight for layer in module.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    total = module(torch.ones(1, 3, 16, 16, dtype=torch.float64)).sum()
    gradients = torch.autograd.grad(total, weights, allow_unused=True)
    score = sum((w * g).sum() for w, g in zip(weights, gradients, strict=True) if g is not None)
    function = {"nasbench101": nasbench101_expected_synflow, "nasbench201": nasbench201_expected_synflow}[name]
    options = dataclasses.replace(each.network, **SMALL[name])
    expected = function(cell, options, initialisation, torch.float64).exp().item()
    torch.testing.assert_close(score.item(), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("initialisation", ["kaiming_fan_out", "kaiming_fan_in", "pytorch"])
def test_weights_have_the_size_of_the_initialisation(initialisation):
    module = space("nasbench101").build(
        "conv3x3:0|conv1x1:0,1|output:0,2", initialisation=initialisation, generator=torch.Generator().manual_seed(0)
    )
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            kind = "linear" if isinstance(layer, nn.Linear) else "conv"
            expected = networks.mean_weights(initialisation)(tuple(layer.weight.shape), kind).flatten()[0].item()
            error = expected / layer.weight.numel() ** 0.5
            assert abs(layer.weight.abs().mean().item() - expected) < 5 * error
            assert layer.weight.mean().abs().item() < 10 * error


@pytest.mark.parametrize("name", CELL_SPACES)
def test_seeds(name):
    cell = space(name).sample(1, torch.Generator().manual_seed(0))
    state = torch.get_rng_state()
    first = space(name).build(cell, generator=torch.Generator().manual_seed(1), **SMALL[name])
    again = space(name).build(cell, generator=torch.Generator().manual_seed(1), **SMALL[name])
    other = space(name).build(cell, generator=torch.Generator().manual_seed(2), **SMALL[name])
    assert torch.equal(state, torch.get_rng_state())
    pairs = list(zip(first.parameters(), again.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b in pairs)
    assert any(not torch.equal(a, b) for a, b in zip(first.parameters(), other.parameters(), strict=True))


def test_a_cell_with_dangling_vertices_is_built_pruned():
    each = space("nasbench101")
    whole = each.build("conv3x3:0|maxpool3x3:|conv1x1:0|output:1", **SMALL["nasbench101"])
    assert count(whole) == count(each.build("conv3x3:0|output:1", **SMALL["nasbench101"]))


@pytest.mark.parametrize("name", CELL_SPACES)
def test_bad_input(name):
    each = space(name)
    with pytest.raises(ValueError, match="architecture: expected one, got 2"):
        each.build(each.enumerate()[:2])
    with pytest.raises(ValueError, match="unknown option 'depth'"):
        each.build(each.enumerate()[0], depth=3)
    with pytest.raises(ValueError, match="unknown initialisation 'xavier'"):
        each.build(each.enumerate()[0], initialisation="xavier")
    cells = each.enumerate()[:1]
    with pytest.raises(ValueError, match="row 0 is no NAS-Bench"):
        each.build(dataclasses.replace(cells, operations=cells.operations + 9))
