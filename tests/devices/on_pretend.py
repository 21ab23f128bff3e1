"""Python code on a device that is not the CPU. Run by test_pretend.py in a process of its own."""

import pytest
import torch
from torch import nn

import zcfast
from tests.contracts.search import drawn_accuracies, drawn_scores
from tests.devices import pretend
from zcfast import _native, analysis, ops, sampled_scoring, search
from zcfast.expected.proxies import PROXIES as CLOSED_FORMS
from zcfast.images import random_images
from zcfast.proxies import registered
from zcfast.tables import Metric, Table

DEVICE = pretend.NAME
SMALL = {"stem_channels": 8, "modules": 1}
REDUCTIONS = {"saliency_reduce", "fisher_reduce", "jacobian_correlation"}


@pytest.fixture(params=[True, False], ids=["with CUDA kernels", "built without CUDA"], autouse=True)
def built_with_cuda(request, monkeypatch):
    """Whether the extension has kernels for the device."""
    there = _native.has_kernel.__wrapped__
    monkeypatch.setattr(
        _native,
        "has_kernel",
        lambda operator, device: request.param and operator in pretend.KERNELS
        if device == DEVICE
        else there(operator, device),
    )
    monkeypatch.setattr(sampled_scoring, "find_device", torch.device)
    pretend.used.clear()
    return request.param


def test_devices_do_not_mix():
    here, there = torch.ones(3), torch.ones(3, device=DEVICE)
    assert (there + 1).device.type == DEVICE
    with pytest.raises(RuntimeError, match="expected all tensors on one device"):
        here + there
    with pytest.raises(RuntimeError, match="average_pool: no CUDA kernel"):
        torch.ops.zcfast.average_pool(torch.ones(1, 1, 4, 4, device=DEVICE), 2, 2, 0, 0, True)


def algorithms(name):
    scores = drawn_scores(name)
    evolution, reinforce = search.ageing_evolution(pool=20, tournament=5), search.reinforce()
    predictor = search.binary_predictor(batch=8, candidates=50, layers=2, hidden=4, steps=2)
    return {
        "random": search.random_search(),
        "warm random": search.warmup(search.random_search(), scores, 30),
        "evolution": evolution,
        "warm evolution with moves": search.move_proposal(search.warmup(evolution, scores, 100), scores),
        "reinforce": reinforce,
        "warm reinforce with moves": search.move_proposal(search.warmup(reinforce, scores, 5), scores, 2),
        "predictor": predictor,
        "warm predictor": search.warmup(predictor, scores, 30),
        "regressor": search.regressor(candidates=200, centres=1),
    }


@pytest.mark.parametrize("name", ["nasbench101", "nasbench201"])
@pytest.mark.parametrize("algorithm", [*algorithms("nasbench201")])
def test_searches(name, algorithm, built_with_cuda):
    values = drawn_accuracies(name, 0.1)[None]
    table = Table(name, {"test": Metric(values, "", "", None, "fraction")}, ("test",), "drawn")
    algorithm, few = algorithms(name)[algorithm], {"runs": 2, "budget": 30}
    there = search.run(algorithm, name, table, device=DEVICE, **few)
    assert there.rows.device.type == DEVICE
    assert torch.equal(there.rows.cpu(), search.run(algorithm, name, table, **few).rows)
    assert bool(pretend.used) == built_with_cuda


@pytest.mark.parametrize("name", ["nasbench101", "nasbench201"])
def test_sampled_scores(name, built_with_cuda):
    space, images = zcfast.space(name), random_images(4, (3, 16, 16), 10, 0)
    cells = space.sample(2, torch.Generator().manual_seed(1))
    there = zcfast.score_architectures(space, [*registered()], cells, images, device=DEVICE, **SMALL)
    here = zcfast.score_architectures(space, [*registered()], cells, images, **SMALL)
    assert not there.reasons
    for column in here.columns:
        torch.testing.assert_close(there[column], here[column], rtol=1e-3, atol=1e-5, check_dtype=False)
    assert (pretend.used >= REDUCTIONS) == built_with_cuda


def test_options_of_a_score():
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AvgPool2d(2, 1), nn.Flatten(), nn.Linear(8 * 25, 10))
    images = random_images(6, (3, 8, 8), 10, 0)
    for options in ({"per_layer": True}, {"microbatch": 4}, {"loss_fn": nn.functional.cross_entropy}):
        names = [name for name in registered() if "microbatch" not in options or name != "grasp"]
        here = zcfast.score(net, images, names, **options)
        there = zcfast.score(net.to(DEVICE), tuple(part.to(DEVICE) for part in images), names, **options)
        for name, score in here.items():
            assert there[name].reason == score.reason
            assert there[name].value == pytest.approx(score.value, rel=1e-3)
        net.to("cpu")


@pytest.mark.parametrize("name", ["nasbench101", "nasbench201"])
def test_cells(name, built_with_cuda):
    space = zcfast.space(name)
    here = space.sample(20, torch.Generator().manual_seed(2))
    there = here.to(DEVICE)
    relations = ("pruned", "wide") if name == "nasbench101" else ("operations",)
    for question in (space.index, space.is_valid, space.params, space.flops, space.keys):
        answer = question(there)
        assert answer.device.type == DEVICE
        assert torch.equal(answer.cpu(), question(here))
    assert space.canonical(there) == space.canonical(here)
    assert space.reasons(there) == space.reasons(here)
    assert space.format(there) == space.format(here)
    for relation in relations:
        found, expected = space.neighbours(there, relation), space.neighbours(here, relation)
        assert torch.equal(found.ids.cpu(), expected.ids)
        assert torch.equal(found.offsets.cpu(), expected.offsets)
    assert space.mutate(there, torch.Generator().manual_seed(0)) == space.mutate(here, torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", ["nasbench101", "nasbench201"])
def test_closed_forms(name, tmp_path):
    here = zcfast.space(name).sample(20, torch.Generator().manual_seed(3))
    expected, found = (zcfast.score_space(name, [*CLOSED_FORMS], cells=cells) for cells in (here, here.to(DEVICE)))
    for column in expected.columns:
        assert found[column].device.type == DEVICE
        torch.testing.assert_close(found[column].cpu(), expected[column])
    found.save(tmp_path / "scores.parquet")
    assert type(found).load(tmp_path / "scores.parquet")["params"].tolist() == expected["params"].tolist()
    assert analysis.spearman(found["params"], found["flops"]) == analysis.spearman(
        expected["params"], expected["flops"]
    )


def test_reductions():
    jacobian = torch.randn(5, 30, generator=torch.Generator().manual_seed(0))
    assert ops.jacobian_correlation(jacobian.to(DEVICE)).item() == pytest.approx(
        ops.jacobian_correlation(jacobian).item()
    )
