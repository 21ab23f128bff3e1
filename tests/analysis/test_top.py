import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.analysis.shared import columns, complete
from zcfast.analysis import precision_at_k, top_fraction_in_top_k, top_fraction_overlap, top_k_overlap

EVERY = [top_fraction_in_top_k, lambda scores, accuracies: precision_at_k(scores, accuracies, 3), top_fraction_overlap]


def best_rows(rows, k):
    """The k best-scored rows: a stable sort keeps the lower of equal rows first."""
    return sorted(rows, key=lambda row: row[0], reverse=True)[:k]


@settings(deadline=None, max_examples=100)
@given(columns(), st.integers(1, 35), st.floats(0.01, 1))
def test_counts_equal_a_loop_also_with_ties(drawn, k, fraction):
    rows = complete(*drawn)
    accuracies = sorted((accuracy for _, accuracy in rows), reverse=True)
    if not rows:
        assert math.isnan(top_fraction_in_top_k(*drawn, fraction, k))
        assert math.isnan(precision_at_k(*drawn, k, fraction))
        assert math.isnan(top_k_overlap(*drawn, k))
        assert math.isnan(top_fraction_overlap(*drawn, fraction))
        return
    size = max(1, round(fraction * len(rows)))
    within = [accuracy >= accuracies[size - 1] for _, accuracy in best_rows(rows, k)]
    assert top_fraction_in_top_k(*drawn, fraction, k) == sum(within)
    assert precision_at_k(*drawn, k, fraction) == pytest.approx(sum(within) / len(within))
    among = [accuracy >= accuracies[min(k, len(rows)) - 1] for _, accuracy in best_rows(rows, k)]
    assert top_k_overlap(*drawn, k) == pytest.approx(sum(among) / len(among))
    assert top_fraction_overlap(*drawn, fraction) == top_k_overlap(*drawn, size)


def test_no_rows_is_no_number():
    for function in EVERY:
        assert math.isnan(function([], []))


def test_top_fraction_in_top_k_by_hand():
    accuracies = torch.arange(1000.0)
    assert top_fraction_in_top_k(accuracies, accuracies) == 50
    assert top_fraction_in_top_k(accuracies, accuracies, k=20) == 20
    assert top_fraction_in_top_k(-accuracies, accuracies) == 0
    # All scores equal: the first 64 rows are taken; 10 % of the most accurate are rows 900 and up.
    assert top_fraction_in_top_k(torch.zeros(1000), accuracies.flip(0), 0.03) == 30
    assert top_fraction_in_top_k(accuracies, accuracies, 1.0, k=5000) == 1000


def test_overlap_by_hand():
    accuracies = torch.arange(100.0)
    assert top_k_overlap(accuracies, accuracies, 10) == 1
    assert top_k_overlap(-accuracies, accuracies, 10) == 0
    # Of the 20 best-scored, rows 75 to 94, those from 80 on are among the 20 most accurate.
    shifted = accuracies.clone()
    shifted[95:] = -1
    assert top_fraction_overlap(shifted, accuracies, 0.2) == pytest.approx(15 / 20)
    assert precision_at_k(shifted, accuracies, 20, 0.1) == pytest.approx(5 / 20)


def test_bad_fractions_and_counts():
    rows = torch.arange(3.0)
    for fraction in (0.0, -0.1, 1.5, math.nan):
        with pytest.raises(ValueError, match="fraction: expected a number"):
            top_fraction_in_top_k(rows, rows, fraction)
        with pytest.raises(ValueError, match="fraction: expected a number"):
            top_fraction_overlap(rows, rows, fraction)
        with pytest.raises(ValueError, match="fraction: expected a number"):
            precision_at_k(rows, rows, 1, fraction)
    for function in (top_k_overlap, precision_at_k):
        with pytest.raises(ValueError, match="k: expected a number of rows >= 1, got 0"):
            function(rows, rows, 0)
        with pytest.raises(ValueError, match=r"k: expected an integer, got 2\.5"):
            function(rows, rows, 2.5)
    with pytest.raises(ValueError, match="k: expected a number of rows >= 1, got 0"):
        top_fraction_in_top_k(rows, rows, k=0)


@pytest.mark.parametrize("function", EVERY)
def test_shapes_must_agree(function):
    for shape in ((4,), (3, 1), ()):
        with pytest.raises(ValueError, match=r"expected one shape \[N\]"):
            function(torch.zeros(shape), torch.zeros(3))
