import pytest
import torch

from tests.spaces.own import TwoLayers
from zcfast import search
from zcfast.search.moves import graph_of
from zcfast.spaces import Enumerated, register, registry


class Listed(TwoLayers, Enumerated):
    name, classes = "listed", 6

    def __len__(self):
        return 6

    def enumerate(self):
        return self.encode(torch.cartesian_prod(torch.arange(3), torch.arange(2)))

    def index(self, cells):
        return self.decode(cells) @ torch.tensor([2, 1])


class Unlisted(Listed):
    """One whose list nobody may ask for, which would take long."""

    name = "unlisted"

    def __len__(self):
        raise AssertionError

    enumerate = __len__


def evaluate(cells):
    return [float(text.split()[0]) for text in cells.texts]


def test_a_listed_space_is_searched(monkeypatch):
    monkeypatch.setattr(registry, "_registered", {})
    space = register(Listed())
    for algorithm in (
        search.random_search(),
        search.reinforce(),
        search.ageing_evolution(pool=3, tournament=2),
        search.binary_predictor(batch=2, steps=5),
    ):
        found = search.run(algorithm, space, evaluate, budget=6, runs=2, seed=0)
        assert ((found.rows >= 0) & (found.rows < 6)).all()
        assert found.objective.max() == 16


def test_neighbours_by_choices(monkeypatch):
    monkeypatch.setattr(registry, "_registered", {})
    graph = graph_of(register(Listed(), "for_neighbours").name, torch.device("cpu"))
    assert graph.counts.tolist() == [3] * 6
    assert graph[0].tolist() == [1, 2, 4]


def test_what_a_search_lacks_is_said(monkeypatch):
    monkeypatch.setattr(registry, "_registered", {})
    for space, algorithm, expected in (
        (TwoLayers(), search.random_search(), r"two_layers: expected a space with a list of all its architectures"),
        (Listed(), search.random_search(), r"got listed: call zcfast.spaces.register first"),
    ):
        with pytest.raises(ValueError, match=expected):
            search.run(algorithm, space, evaluate, budget=2, runs=1)
    space = register(Unlisted(), "unlisted")
    with pytest.raises(ValueError, match=r"unlisted: expected a space with closed forms"):
        search.run(search.regressor(first=1), space, evaluate, budget=4, runs=1)
    with pytest.raises(ValueError, match=r"unlisted: expected a space with closed forms"):
        search.regressor(first=1).init(space, runs=1)
