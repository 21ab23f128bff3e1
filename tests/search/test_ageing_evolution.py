import pytest
import torch

from zcfast import search
from zcfast.order import best_first
from zcfast.search.streams import Streams
from zcfast.spaces import space
from zcfast.testing import AlgorithmContract
from zcfast.testing.algorithm import advance, drawn_accuracies, drawn_scores

SPACES = (pytest.param("nasbench101", marks=pytest.mark.slow), "nasbench201")


class TestAgeingEvolution(AlgorithmContract):
    spaces = SPACES
    repeats = True

    def make(self):
        return search.ageing_evolution(pool=20, tournament=5)


def slow_run(algorithm, name, accuracies, steps):
    """The published loop, one run and one training after another, with the draws of run 0 of seed 0."""
    streams, graph, scores = Streams.of(0, 1), space(name).neighbour_graph(), drawn_scores(name)
    if algorithm.initial is None:
        first = streams.permutation(len(graph), 0, algorithm.pool)[0].tolist()
    else:
        sample = streams.permutation(len(graph), 0, algorithm.initial.amount)[0].sort().values
        first = sample[best_first(scores[sample])][: algorithm.pool].tolist()
    pool, trained = [], []
    for step in range(steps):
        if step < algorithm.pool:
            row = first[step]
        else:
            slots = []
            for draw in range(algorithm.tournament):
                last = algorithm.pool - algorithm.tournament + draw
                slot = int(streams.below(2 * step, draw + 1, last + 1)[0, draw])
                slots.append(last if slot in slots else slot)
            # The k-th that was trained lies in slot k modulo the size of the pool.
            members = [pool[(slot - step) % algorithm.pool] for slot in slots]
            members = [member for member in members if accuracies[member] == accuracies[member]]
            bits = streams.uniform(2 * step + 1, 3)[0]
            if not members:
                row = int(bits[0] * len(graph))
            else:
                parent = max(members, key=lambda member: accuracies[member])
                choices = graph[parent] if len(graph[parent]) else torch.tensor([parent])
                row = int(choices[int(bits[1] * len(choices))])
                if algorithm.move is not None and bits[2] < algorithm.move.amount:
                    row = int(choices[best_first(scores[choices])[0]])
        pool = [*pool, row][-algorithm.pool :]
        trained.append(row)
    return trained


@pytest.mark.parametrize("name", ["nasbench101", "nasbench201"])
@pytest.mark.parametrize("failed", [0.1, 0.9])
@pytest.mark.slow
def test_equals_the_published_loop(name, failed):
    scores, accuracies = drawn_scores(name), drawn_accuracies(name, failed)
    plain = search.ageing_evolution(pool=20, tournament=5)
    for algorithm in (plain, search.move_proposal(search.warmup(plain, scores, 100), scores)):
        rows, _ = advance(algorithm, algorithm.init(name, runs=3), accuracies, 100)
        assert rows[0].tolist() == slow_run(algorithm, name, accuracies.tolist(), 100)


def test_the_defaults_are_those_of_the_published_example():
    algorithm = search.ageing_evolution()
    assert (algorithm.pool, algorithm.tournament, algorithm.default_ratio) == (64, 10, 0.75)


def test_evolution_finds_more_than_random_search():
    """On accuracies that neighbours share: the number of 3x3 convolutions and skip connections."""
    operations = space("nasbench201").enumerate().operations
    accuracies = ((operations == 3) * torch.arange(1, 7) + (operations == 1)).sum(1).double()
    best = {}
    for algorithm in (search.ageing_evolution(), search.random_search()):
        rows, _ = advance(algorithm, algorithm.init("nasbench201", runs=30), accuracies, 300)
        best[algorithm.name] = accuracies[rows].amax(1).mean()
    assert best["ageing_evolution"] > best["random_search"] + 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: search.ageing_evolution(pool=5), "tournament: expected 1 to 5, the size of the pool, got 10"),
        (lambda: search.ageing_evolution(tournament=0), "tournament: expected 1 to 64"),
        (lambda: search.ageing_evolution(pool=64.5), "pool: expected an integer, got 64.5"),
        (lambda: search.ageing_evolution(tournament=2.0), "tournament: expected an integer, got 2.0"),
        (
            lambda: search.warmup(search.ageing_evolution(), drawn_scores("nasbench201"), 63),
            "warm-up: expected at least 64 architectures, the size of the pool, got 63",
        ),
        (
            lambda: search.move_proposal(search.ageing_evolution(), drawn_scores("nasbench201"), 1.5),
            "ratio: expected the share of children that are moves, from 0 to 1, got 1.5",
        ),
        (
            lambda: search.ageing_evolution(pool=20_000).init("nasbench201", runs=1),
            "pool: expected at most 15625, the size of the space, got 20000",
        ),
    ],
)
def test_bad_sizes(make, message):
    with pytest.raises(ValueError, match=message):
        make()
