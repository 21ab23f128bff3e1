import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.analysis.shared import columns, complete
from zcfast.analysis import (
    best_at_k,
    improvements,
    random_trainings_until,
    regret_at_k,
    trainings_until,
    trainings_until_best,
)


@settings(deadline=None, max_examples=100)
@given(columns(), st.integers(1, 35), st.floats(0, 1))
def test_equal_to_a_search_that_trains_one_after_another(drawn, k, target):
    order = sorted(complete(*drawn), key=lambda row: row[0], reverse=True)
    trained = [accuracy for _, accuracy in order]
    if not trained:
        assert math.isnan(best_at_k(*drawn, k))
        assert math.isnan(regret_at_k(*drawn, k))
        assert trainings_until(*drawn, target) is None
        assert trainings_until_best(*drawn) is None
        return
    assert best_at_k(*drawn, k) == max(trained[:k])
    assert regret_at_k(*drawn, k) == max(trained) - max(trained[:k])
    assert trainings_until(*drawn, target) == next(
        (place for place, accuracy in enumerate(trained, 1) if accuracy >= target), None
    )
    assert trainings_until_best(*drawn) == trained.index(max(trained)) + 1


def test_by_hand():
    accuracies = torch.tensor([0.5, 0.9, 0.7, 0.8])
    scores = torch.tensor([4.0, 1.0, 3.0, math.nan])
    assert best_at_k(scores, accuracies, 2) == pytest.approx(0.7)
    assert regret_at_k(scores, accuracies, 2) == pytest.approx(0.2)
    assert regret_at_k(scores, accuracies, 10) == 0
    assert trainings_until(scores, accuracies, 0.6) == 2
    assert trainings_until(scores, accuracies, 0.95) is None
    assert trainings_until_best(scores, accuracies) == 3
    assert trainings_until_best(-scores, accuracies) == 1


def test_large_integers_are_compared_as_they_are():
    accuracies = torch.tensor([2**24, 2**24 + 1])
    assert trainings_until(torch.tensor([2, 1]), accuracies, 2**24 + 1) == 2


def test_errors():
    rows = torch.arange(3.0)
    for function in (best_at_k, regret_at_k):
        with pytest.raises(ValueError, match="k: expected a number of rows >= 1, got 0"):
            function(rows, rows, 0)
    with pytest.raises(ValueError, match="target: expected an accuracy, got nan"):
        trainings_until(rows, rows, math.nan)
    with pytest.raises(ValueError, match=r"expected one shape \[N\]"):
        trainings_until_best(rows, rows[:2])


@settings(deadline=None, max_examples=50)
@given(columns())
def test_improvements_are_the_steps_of_best_at_k(drawn):
    trainings, best = improvements(*drawn)
    count = len(complete(*drawn))
    curve = [best_at_k(*drawn, k) for k in range(1, count + 1)]
    rises = [place for place in range(count) if not place or curve[place] > curve[place - 1]]
    assert trainings.tolist() == [place + 1 for place in rises]
    assert best.tolist() == [curve[place] for place in rises]


def test_random_order_is_the_mean_over_all_orders():
    accuracies = torch.tensor([0.5, 0.9, 0.7, math.nan, 0.9], dtype=torch.float64)
    for target in (0.1, 0.6, 0.9):
        orders = itertools.permutations(range(5))
        trainings = [trainings_until(torch.tensor(order), accuracies, target) for order in orders]
        assert random_trainings_until(accuracies, target) == pytest.approx(sum(trainings) / len(trainings))
    assert random_trainings_until(accuracies, 0.95) is None
    with pytest.raises(ValueError, match="target: expected an accuracy, got nan"):
        random_trainings_until(accuracies, math.nan)
