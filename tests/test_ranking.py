import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from zcfast.analysis import spearman, spearman_top, top_fraction_in_top_k

FEW_VALUES = st.sampled_from([-math.inf, -2.0, -1.0, 0.0, 0.5, 1.0, 3.0])


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
    assert top_fraction_in_top_k(scores, accuracies, 0.34, k=1) == 1


def test_integers_beyond_float64_are_ranked_exactly():
    assert spearman(2**53 + torch.arange(4), torch.arange(4.0)) == pytest.approx(1)


def test_too_few_rows():
    assert math.isnan(spearman(torch.tensor([1.0]), torch.tensor([1.0])))
    assert math.isnan(spearman_top(torch.zeros(0), torch.zeros(0)))
    assert top_fraction_in_top_k(torch.zeros(0), torch.zeros(0)) == 0


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


def test_top_fraction_in_top_k_by_hand():
    accuracies = torch.arange(1000.0)
    assert top_fraction_in_top_k(accuracies, accuracies) == 50
    assert top_fraction_in_top_k(accuracies, accuracies, k=20) == 20
    assert top_fraction_in_top_k(-accuracies, accuracies) == 0
    # All scores equal: the first 64 rows are taken; 10 % of the most accurate are rows 900 and up.
    assert top_fraction_in_top_k(torch.zeros(1000), accuracies.flip(0), 0.03) == 30
    assert top_fraction_in_top_k(accuracies, accuracies, 1.0, k=5000) == 1000


@pytest.mark.parametrize("function", [spearman, spearman_top, top_fraction_in_top_k])
def test_shapes_must_agree(function):
    for shape in ((4,), (3, 1), ()):
        with pytest.raises(ValueError, match=r"expected one shape \[N\]"):
            function(torch.zeros(shape), torch.zeros(3))


def test_bad_fractions_and_counts():
    rows = torch.arange(3.0)
    for fraction in (0.0, -0.1, 1.5, math.nan):
        with pytest.raises(ValueError, match="fraction: expected a number"):
            spearman_top(rows, rows, fraction)
    with pytest.raises(ValueError, match="k: expected a number of rows >= 1, got 0"):
        top_fraction_in_top_k(rows, rows, k=0)
