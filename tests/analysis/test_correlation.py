import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tests.analysis.shared import FEW_VALUES, columns, complete
from zcfast.analysis import kendall, kendall_top, pearson, pearson_top, spearman, spearman_top

EVERY = [spearman, kendall, pearson, spearman_top, kendall_top, pearson_top]


@settings(deadline=None, max_examples=60)
@given(rows=st.lists(st.tuples(FEW_VALUES, st.floats(0, 1)), min_size=2, max_size=50))
def test_spearman_equals_scipy_also_with_ties_and_infinities(rows):
    scores, accuracies = torch.tensor(rows, dtype=torch.float64).unbind(1)
    finite = scores.clamp(min=-100)  # scipy's average ranks, with a number in the place of -inf
    if len(set(scores.tolist())) == 1 or len(set(accuracies.tolist())) == 1:
        assert math.isnan(spearman(scores, accuracies))
    else:
        expected = stats.spearmanr(finite.numpy(), accuracies.numpy()).statistic
        assert spearman(scores, accuracies) == pytest.approx(expected, abs=1e-12)


def test_spearman_by_hand():
    accuracies = torch.tensor([0.1, 0.2, 0.3, 0.4])
    assert spearman(torch.tensor([1, 2, 3, 4]), accuracies) == pytest.approx(1)
    assert spearman(torch.tensor([4, 3, 2, 1]), accuracies) == pytest.approx(-1)
    # ranks 1.5 1.5 3 4 against 1 2 3 4: sum of products of the centred ranks 4.5, lengths sqrt(4.5), sqrt(5)
    assert spearman(torch.tensor([-math.inf, -math.inf, 0.0, 1.0]), accuracies) == pytest.approx(4.5 / math.sqrt(22.5))


def test_rows_with_nan_are_left_out():
    scores = torch.tensor([1.0, math.nan, 2.0, 3.0, 0.0])
    accuracies = torch.tensor([0.1, 0.9, 0.2, 0.3, math.nan])
    assert spearman(scores, accuracies) == pytest.approx(1)
    assert spearman_top(scores, accuracies, 1.0) == pytest.approx(1)
    for function in (kendall, pearson):
        assert function(scores, accuracies) == pytest.approx(1)


def test_integers_beyond_float64_are_ranked_exactly():
    for function in (spearman, kendall):
        assert function(2**53 + torch.arange(4), torch.arange(4.0)) == pytest.approx(1)


def test_too_few_rows():
    for function in EVERY:
        for rows in (torch.zeros(0), torch.ones(1), torch.full((3,), math.nan), torch.ones(5)):
            assert math.isnan(function(rows, rows))
        assert math.isnan(function(torch.arange(5.0), torch.ones(5)))


def test_spearman_top_takes_the_most_accurate_rows():
    accuracies = torch.arange(100.0)
    scores = torch.arange(100.0)
    scores[90:] = scores[90:].flip(0)
    assert spearman_top(scores, accuracies) == pytest.approx(-1)
    assert spearman_top(scores, accuracies, 0.2) == pytest.approx(spearman(scores[80:], accuracies[80:]))
    assert spearman(scores, accuracies) > 0.99


def test_ties_with_the_last_accuracy_belong_to_the_top_in_any_order_of_rows():
    accuracies = torch.tensor([5.0, 4.0, 4.0, 4.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    scores = torch.tensor([9.0, 1.0, 2.0, 3.0, 8.0, 8.0, 8.0, 8.0, 8.0, 8.0])
    order = torch.randperm(10, generator=torch.Generator().manual_seed(0))
    expected = spearman(scores[:4], accuracies[:4])
    assert spearman_top(scores, accuracies, 0.2) == pytest.approx(expected)
    assert spearman_top(scores[order], accuracies[order], 0.2) == pytest.approx(expected)


@settings(deadline=None, max_examples=60)
@given(columns())
def test_kendall_equals_the_count_of_pairs(drawn):
    rows = complete(*drawn)
    signs = [((x > a) - (x < a), (y > b) - (y < b)) for at, (x, y) in enumerate(rows) for a, b in rows[:at]]
    differ = [sum(pair[side] != 0 for pair in signs) for side in (0, 1)]
    if 0 in differ:
        assert math.isnan(kendall(*drawn))
    else:
        expected = sum(x * y for x, y in signs) / math.sqrt(differ[0] * differ[1])
        assert kendall(*drawn) == pytest.approx(expected, abs=1e-12)


@settings(deadline=None, max_examples=60)
@given(columns(scores=st.floats(-100, 100, width=16)))
def test_pearson_equals_numpy(drawn):
    scores, accuracies = np.array(complete(*drawn)).reshape(-1, 2).T
    if len(set(scores)) < 2 or len(set(accuracies)) < 2:
        assert math.isnan(pearson(*drawn))
    elif min(np.ptp(scores), np.ptp(accuracies)) > 1e-3:
        assert pearson(*drawn) == pytest.approx(np.corrcoef(scores, accuracies)[0, 1], abs=1e-9)


def test_pearson_of_extreme_values():
    rows = torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64)
    for scale in (1e308 / 2, 1e-300, -1e300):
        assert pearson(rows * scale, rows) == pytest.approx(math.copysign(1, scale))
    assert math.isnan(pearson(torch.tensor([-math.inf, 0.0, 1.0]), rows))
    assert math.isnan(pearson(torch.full((7,), 0.1), torch.arange(7.0)))


def test_scores_that_rank_backwards_have_a_negative_correlation():
    accuracies = torch.linspace(0, 1, 50)
    for function in EVERY:
        assert function(accuracies, accuracies) == pytest.approx(1)
        assert function(-accuracies, accuracies) == pytest.approx(-1)


def test_top_functions_take_the_same_rows():
    generator = torch.Generator().manual_seed(0)
    scores, accuracies = torch.rand(2, 200, generator=generator)
    within = accuracies >= accuracies.sort(descending=True).values[39]
    for over_all, over_top in ((spearman, spearman_top), (kendall, kendall_top), (pearson, pearson_top)):
        assert over_top(scores, accuracies, 0.2) == over_all(scores[within], accuracies[within])


@pytest.mark.parametrize("function", EVERY)
def test_shapes_must_agree(function):
    for shape in ((4,), (3, 1), ()):
        with pytest.raises(ValueError, match=r"scores and accuracies: expected one shape \[N\]"):
            function(torch.zeros(shape), torch.zeros(3))


@pytest.mark.parametrize("function", [spearman_top, kendall_top, pearson_top])
def test_bad_fractions(function):
    rows = torch.arange(3.0)
    for fraction in (0.0, -0.1, 1.5, math.nan):
        with pytest.raises(ValueError, match="fraction: expected a number"):
            function(rows, rows, fraction)
