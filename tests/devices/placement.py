"""Tests of Python code that chooses devices: tensors go where they are asked to and results are the CPU's.

A module that imports them has a fixture `device`: its name.
"""

import pytest
import torch
from torch import nn

import zcfast
from zcfast import analysis, search
from zcfast.images import random_images
from zcfast.proxies import registered
from zcfast.spaces.forms import closed_forms
from zcfast.tables import Metric, Table
from zcfast.testing.algorithm import drawn_accuracies, drawn_scores

SMALL = {"stem_channels": 8, "modules": 1}


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
        "regressor": search.regressor(candidates=200),
    }


OPERATORS_OF_THE_SPACE = ("warm evolution with moves", "warm reinforce with moves")


@pytest.mark.parametrize(
    ("name", "algorithm"),
    [
        *(("nasbench201", algorithm) for algorithm in algorithms("nasbench201")),
        *(("nasbench101", algorithm) for algorithm in OPERATORS_OF_THE_SPACE),
    ],
)
def test_searches(name, algorithm, device):
    values = drawn_accuracies(name, 0.1)[None]
    table = Table(name, {"test": Metric(values, "", "", None, "fraction")}, ("test",), "drawn")
    algorithm, few = algorithms(name)[algorithm], {"runs": 2, "budget": 30}
    there = search.run(algorithm, name, table, device=device, **few)
    assert there.rows.device.type == device
    if device == "cuda" and algorithm.name == "binary_predictor":
        return  # its float32 network rounds otherwise there
    assert torch.equal(there.rows.cpu(), search.run(algorithm, name, table, **few).rows)


def accuracies_of(cells):
    return (torch.arange(len(cells)) + cells.operations.sum(1)) / 100


@pytest.mark.parametrize("options", [{}, {"workers": 2}])
def test_searches_that_train(options, device, tmp_path):
    algorithm = search.ageing_evolution(pool=4, tournament=2)
    found = search.run(algorithm, "nasbench201", accuracies_of, runs=2, budget=10, device=device, **options)
    assert found.objective.device.type == device
    found.save(tmp_path / "found.parquet")
    loaded = search.Trajectory.load(tmp_path / "found.parquet")
    assert torch.equal(loaded.rows, found.rows.cpu())
    assert torch.equal(loaded.trainings_to(0.1), found.trainings_to(0.1).cpu())


def test_one_of_several_trainings(device):
    values = torch.rand(3, 15_625, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    table = Table("nasbench201", {"test": Metric(values, "", "", None, "fraction", (0, 1, 2))}, ("test",), "drawn")
    algorithm, options = search.random_search(), {"runs": 2, "budget": 10, "repetition": "random"}
    found = search.run(algorithm, "nasbench201", table, device=device, **options)
    assert torch.equal(found.objective.cpu(), search.run(algorithm, "nasbench201", table, **options).objective)


@pytest.mark.parametrize("name", ["nasbench101", "nasbench201"])
def test_sampled_scores(name, device):
    space, images = zcfast.space(name), random_images(4, (3, 16, 16), 10, 0)
    cells = space.sample(2, torch.Generator().manual_seed(1))
    there = zcfast.score_architectures(space, [*registered()], cells, images, device=device, **SMALL)
    here = zcfast.score_architectures(space, [*registered()], cells, images, **SMALL)
    assert there.reasons == here.reasons
    for column in here.columns:
        torch.testing.assert_close(there[column], here[column], rtol=1e-2, atol=1e-4, check_dtype=False, equal_nan=True)


def test_options_of_a_score(device):
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AvgPool2d(2, 1), nn.Flatten(), nn.Linear(8 * 25, 10))
    images = random_images(6, (3, 8, 8), 10, 0)
    for options in ({"per_layer": True}, {"loss_fn": nn.functional.cross_entropy}):
        names = [*registered()]
        here = zcfast.score(net, images, names, **options)
        there = zcfast.score(net.to(device), tuple(part.to(device) for part in images), names, **options)
        for name, score in here.items():
            assert there[name].reason == score.reason
            assert there[name].value == pytest.approx(score.value, rel=1e-2, nan_ok=True)
        net.to("cpu")


class Sentences(nn.Module):
    """Words, attention and the mean over places."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(20, 16)
        self.layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0, batch_first=True)
        self.classes = nn.Linear(16, 5)

    def forward(self, x):
        return self.classes(self.layer(self.words(x)).mean(1))


def test_words(device):
    generator = torch.Generator().manual_seed(5)
    batch = torch.randint(20, (4, 6), generator=generator), torch.randint(5, (4,), generator=generator)
    net = Sentences()
    here = zcfast.score(net, batch, [*registered()])
    there = zcfast.score(net.to(device), tuple(part.to(device) for part in batch), [*registered()])
    for name, score in here.items():
        assert there[name].reason == score.reason
        assert there[name].value == pytest.approx(score.value, rel=1e-2, abs=1e-4, nan_ok=True)


@pytest.mark.parametrize("name", ["nasbench101", "nasbench201"])
def test_cells(name, device):
    space = zcfast.space(name)
    here = space.sample(20, torch.Generator().manual_seed(2))
    there = here.to(device)
    relations = ("pruned", "wide") if name == "nasbench101" else ("operations",)
    for question in (space.index, space.is_valid, space.params, space.flops, space.keys):
        answer = question(there)
        assert answer.device.type == device
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
def test_closed_forms(name, device, tmp_path):
    here = zcfast.space(name).sample(20, torch.Generator().manual_seed(3))
    forms = [*closed_forms(zcfast.space(name))]
    expected, found = (zcfast.score_space(name, forms, cells=cells) for cells in (here, here.to(device)))
    for column in expected.columns:
        assert found[column].device.type == device
        torch.testing.assert_close(found[column].cpu(), expected[column], rtol=1e-5, atol=0)
    found.save(tmp_path / "scores.parquet")
    assert type(found).load(tmp_path / "scores.parquet")["params"].tolist() == expected["params"].tolist()
    assert analysis.spearman(found["params"], found["flops"]) == analysis.spearman(
        expected["params"], expected["flops"]
    )
