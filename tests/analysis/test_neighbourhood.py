import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.analysis.shared import columns, complete
from zcfast.analysis import local_ranking, neighbourhood, spearman


def flat(groups):
    offsets = torch.tensor([0, *map(len, groups)]).cumsum(0)
    return offsets, torch.tensor([row for group in groups for row in group], dtype=torch.int64)


def best_picked(rows):
    """The probability that a draw from the best-scored is one of the most accurate."""
    if len(rows) < 2:
        return math.nan
    best = [accuracy for score, accuracy in rows if score == max(score for score, _ in rows)]
    return sum(accuracy == max(accuracy for _, accuracy in rows) for accuracy in best) / len(best)


@st.composite
def neighbourhoods(draw):
    scores, accuracies = draw(columns(min_size=1, max_size=12))
    group = st.lists(st.integers(0, len(scores) - 1), max_size=6)
    return scores, accuracies, draw(st.lists(group, max_size=8))


@pytest.mark.parametrize("block", [1 << 16, 3])
def test_equal_to_one_neighbourhood_after_another(block, monkeypatch):
    monkeypatch.setattr(neighbourhood, "_BLOCK", block)

    @settings(deadline=None, max_examples=60)
    @given(neighbourhoods())
    def check(drawn):
        scores, accuracies, groups = drawn
        local = local_ranking(scores, accuracies, *flat(groups))
        assert local.spearman.shape == local.best_picked.shape == (len(groups),)
        for place, group in enumerate(groups):
            within = scores[group], accuracies[group]
            assert float(local.spearman[place]) == pytest.approx(spearman(*within), nan_ok=True)
            expected = best_picked(complete(*within))
            assert float(local.best_picked[place]) == pytest.approx(expected, nan_ok=True)

    check()


def test_by_hand():
    scores = torch.tensor([1.0, 2.0, 3.0, 3.0, math.nan])
    accuracies = torch.tensor([0.1, 0.2, 0.3, 0.0, 0.9])
    # NaN is left out; then a tie for the best score, of which one of two is right; one member; none.
    local = local_ranking(scores, accuracies, [0, 4, 7, 8, 8], [0, 1, 2, 4, 2, 3, 0, 0])
    torch.testing.assert_close(local.best_picked[:2], torch.tensor([1, 0.5], dtype=torch.float64))
    assert local.spearman[0] == 1
    assert local.best_picked[2:].isnan().all()
    assert local.spearman[2:].isnan().all()
    assert local.mean_best_picked == 0.75
    assert local.mean_spearman == pytest.approx((1 + spearman([3, 3, 1], [0.3, 0.0, 0.1])) / 2)


def test_signs_are_kept_and_inputs_are_not_changed():
    scores, ids = -torch.arange(5.0), torch.tensor([4, 2, 0, 3])
    local = local_ranking(scores, torch.arange(5.0), torch.tensor([0, 4]), ids)
    assert (local.mean_spearman, local.mean_best_picked) == (-1, 0)
    assert ids.tolist() == [4, 2, 0, 3]


def test_no_neighbourhoods():
    local = local_ranking(torch.zeros(0), torch.zeros(0), [0], [])
    assert len(local.spearman) == 0
    assert math.isnan(local.mean_spearman)
    assert math.isnan(local.mean_best_picked)


@pytest.mark.parametrize(
    ("offsets", "ids", "message"),
    [
        ([], [], "offsets: expected integers that rise from 0 to the 0 ids"),
        ([0, 1], [0, 1], "offsets: expected integers that rise from 0 to the 2 ids"),
        ([1, 2], [0, 1], "offsets: expected integers that rise"),
        ([0, 2, 1, 2], [0, 1], "offsets: expected integers that rise"),
        ([0.0, 2.0], [0, 1], "offsets: expected integers in one dimension"),
        ([0, 2], [[0, 1]], "ids: expected integers in one dimension"),
        ([0, 2], [0, 3], "ids: expected rows from 0 to 2, got 0 to 3"),
        ([0, 1], [-1], "ids: expected rows from 0 to 2, got -1 to -1"),
    ],
)
def test_errors(offsets, ids, message):
    with pytest.raises(ValueError, match=message):
        local_ranking(torch.zeros(3), torch.zeros(3), offsets, ids)
