import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.analysis.shared import columns, complete
from zcfast.analysis import ndcg


def by_definition(rows, k):
    """Over all orders of tied rows at once: each takes the mean of the places' weights."""
    gains = {place: 2.0**accuracy - 1 for place, (_, accuracy) in enumerate(rows)}
    weight = [1 / math.log2(j + 2) if j < k else 0.0 for j in range(len(rows))]
    total = 0.0
    for place, (score, _) in enumerate(rows):
        first = sum(other > score for other, _ in rows)
        ties = sum(other == score for other, _ in rows)
        total += gains[place] * sum(weight[first : first + ties]) / ties
    ideal = sum(gain * w for gain, w in zip(sorted(gains.values(), reverse=True), weight, strict=True))
    return total / ideal if ideal > 0 else math.nan


@settings(deadline=None, max_examples=80)
@given(columns(), st.integers(1, 12))
def test_equals_a_loop(drawn, k):
    scores, accuracies = drawn
    accuracies = accuracies.double().abs().clamp(max=60)
    expected = by_definition(complete(scores, accuracies), k)
    assert ndcg(scores, accuracies, k) == pytest.approx(expected, rel=1e-9, nan_ok=True)


def test_published_example():
    """Two orders of ten networks, of the paper's figure; the best six count."""
    order = list(range(10, 0, -1))
    assert ndcg(order, [80, 70, 100, 90, 60, 50, 40, 30, 20, 10], k=6) == pytest.approx(0.5, abs=0.005)
    assert ndcg(order, [100, 90, 80, 70, 60, 50, 10, 20, 30, 40], k=6) == 1


def test_bounds():
    accuracies = torch.linspace(10, 94, 50)
    assert ndcg(accuracies, accuracies) == 1
    assert 0 < ndcg(-accuracies, accuracies, k=10) < 1e-10
    assert math.isnan(ndcg([], []))
    assert math.isnan(ndcg([1.0, 2.0], [0.0, 0.0]))
    assert ndcg([1, 2], [3000.0, 2999.0], k=1) == pytest.approx(0.5)
    with pytest.raises(ValueError, match="k: expected a number of rows >= 1, got 0"):
        ndcg([1], [1], k=0)
