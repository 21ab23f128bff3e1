import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import zcfast
from tests.analysis.shared import columns, complete
from tests.shared import shared_data
from zcfast.analysis import regret, regret_at_k


def by_all_orders(rows, k):
    """The mean regret over all orders of the rows, sorted by score."""
    best, lost = max(accuracy for _, accuracy in rows), []
    for order in itertools.permutations(rows):
        picked = sorted(order, key=lambda row: row[0], reverse=True)[:k]  # a stable sort keeps the order of equal ones
        lost.append(best - max(accuracy for _, accuracy in picked))
    return sum(lost) / len(lost)


@settings(deadline=None, max_examples=100)
@given(columns(max_size=6), st.integers(1, 8))
def test_equals_the_mean_over_all_orders(drawn, k):
    rows, found = complete(*drawn), regret(*drawn, picks=(k,))
    assert found.rows.tolist() == [len(rows)]
    expected = by_all_orders(rows, k) if rows else math.nan
    assert found.each.tolist() == [[pytest.approx(expected, abs=1e-12, nan_ok=True)]]


@settings(deadline=None, max_examples=100)
@given(columns(min_size=1), st.data())
def test_a_limit_leaves_out_rows(drawn, data):
    scores, accuracies = drawn
    values = data.draw(st.lists(st.sampled_from([1.0, 2.0, 3.0, math.nan]), min_size=len(scores), max_size=len(scores)))
    limits = [(values, highest) for highest in (0.5, 1.0, 2.5, math.inf)]
    found = regret(scores, accuracies, limits, picks=(1, 3))
    for (column, highest), each in zip(limits, found.each, strict=True):
        rows = torch.tensor([value <= highest for value in column])
        alone = regret(scores[rows], accuracies[rows], picks=(1, 3)).each[0]
        torch.testing.assert_close(each, alone, equal_nan=True)
    torch.testing.assert_close(found.mean, found.each.mean(0), equal_nan=True)


@settings(deadline=None, max_examples=50)
@given(st.permutations(range(20)), st.integers(1, 25))
def test_without_ties_it_is_regret_at_k(order, k):
    accuracies = torch.rand(20, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert regret(order, accuracies, picks=(k,)).each.item() == pytest.approx(regret_at_k(order, accuracies, k))


def test_by_hand():
    accuracies = [0.9, 0.8, 0.4, 0.2]
    # The first pick is sure; of the three behind it one is drawn.
    assert regret([0, 0, 0, 1], accuracies, picks=(1, 2)).each[0].tolist() == pytest.approx([0.7, 0.9 - 2.1 / 3])
    assert regret([0] * 100_000, range(100_000), picks=(50_000,)).each.item() == pytest.approx(1, abs=1e-4)


def test_a_rule_ranks_the_rows_within_each_limit():
    seen = []

    def rule(rows):
        seen.append(rows.tolist())
        return rows.double()

    found = regret(rule, [3.0, 1.0, math.nan, 2.0], [([1, 2, 1, 3], 2), ([1, 2, 1, 3], 3)])
    assert seen == [[0, 1], [0, 1, 3]]
    assert found.each.tolist() == [[2, 0], [1, 0]]
    assert found.rows.tolist() == [2, 3]
    assert regret(rule, [1.0, 2.0]).each.tolist() == [[0, 0]]
    with pytest.raises(ValueError, match=r"scores and accuracies: expected one shape \[N\], got \[1\] and \[2\]"):
        regret(lambda rows: [1.0], [1.0, 2.0])


def test_bad_input():
    with pytest.raises(ValueError, match="picks: expected one or more"):
        regret([1.0], [1.0], picks=())
    with pytest.raises(ValueError, match="k: expected a number of rows >= 1, got 0"):
        regret([1.0], [1.0], picks=(0,))
    with pytest.raises(ValueError, match="limits: expected a number as the highest value, got nan"):
        regret([1.0], [1.0], [([1.0], math.nan)])
    with pytest.raises(ValueError, match=r"values of a limit: expected one shape \[N\], got \[1\] and \[2\]"):
        regret([1.0], [1.0], [([1.0, 2.0], 3)])
    with pytest.raises(ValueError, match=r"scores and accuracies: expected one shape \[N\]"):
        regret([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match=r"accuracies: expected one shape \[N\]"):
        regret([1.0], [[1.0]])


def test_real_latencies():
    """Drawn ties have the mean that is computed."""
    table = zcfast.table("nasbench201", shared_data("nasbench201/accuracies.npz"))
    latency = np.load(shared_data("latency/nasbench201_ms.npz"))["eyeriss"]
    scores, accuracies = zcfast.score_space("nasbench201", ["params"])["params"].numpy(), table["test_cifar100"].numpy()
    rows, draw, lost = np.flatnonzero(latency <= 5.1), np.random.default_rng(0), []
    for _ in range(2000):
        order = rows[np.lexsort((draw.random(len(rows)), -scores[rows]))[:10]]
        lost.append(accuracies[rows].max() - np.array([accuracies[order[0]], accuracies[order].max()]))
    expected = regret(scores, accuracies, [(latency, 5.1)])
    error = np.std(lost, axis=0) / math.sqrt(len(lost))
    assert (np.abs(np.mean(lost, axis=0) - expected.each[0].numpy()) <= 4 * error + 1e-9).all()
