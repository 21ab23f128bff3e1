import pytest
import torch

from zcfast import search
from zcfast.order import best_first
from zcfast.testing import AlgorithmContract
from zcfast.testing.algorithm import advance, drawn_accuracies, drawn_scores

SPACES = (pytest.param("nasbench101", marks=pytest.mark.slow), "nasbench201")


class TestRandomSearch(AlgorithmContract):
    spaces = SPACES

    def make(self):
        return search.random_search()


def test_a_run_over_the_whole_space_meets_every_architecture():
    algorithm = search.warmup(search.random_search(), drawn_scores("nasbench201"), 700)
    state = algorithm.init("nasbench201", runs=2)
    rows, state = advance(algorithm, state, drawn_accuracies("nasbench201"), 15_625)
    assert torch.equal(rows.sort(1).values, torch.arange(15_625).expand(2, -1))
    with pytest.raises(ValueError, match="ask: expected at most 15625 times, the size of the space"):
        algorithm.ask(state)


def test_warm_up_trains_the_sample_best_first_and_then_goes_on_at_random():
    scores = drawn_scores("nasbench201")
    plain, warm = search.random_search(), search.warmup(search.random_search(), scores, 50)
    accuracies = drawn_accuracies("nasbench201")
    expected, _ = advance(plain, plain.init("nasbench201", runs=3), accuracies, 60)
    rows, _ = advance(warm, warm.init("nasbench201", runs=3), accuracies, 60)
    assert torch.equal(rows[:, 50:], expected[:, 50:])
    for run in range(3):
        sample = expected[run, :50].sort().values
        assert torch.equal(rows[run, :50], sample[best_first(scores[sample])])


def test_warm_up_with_the_whole_space_sorts_it():
    scores = drawn_scores("nasbench201")
    algorithm = search.warmup(search.random_search(), scores, 15_625)
    rows, _ = advance(algorithm, algorithm.init("nasbench201", runs=2), drawn_accuracies("nasbench201"), 300)
    assert torch.equal(rows, best_first(scores)[:300].expand(2, -1))
