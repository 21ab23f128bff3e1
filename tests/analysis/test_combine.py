import math

import pytest
import torch
from hypothesis import given, settings

from tests.analysis.shared import columns, complete
from zcfast.analysis import log_rank_sum, rank_sum


def average_rank(values, value):
    below, equal = sum(other < value for other in values), sum(other == value for other in values)
    return below + (equal + 1) / 2


@settings(deadline=None, max_examples=60)
@given(columns())
def test_sums_equal_a_loop(drawn):
    rows = complete(*drawn)
    firsts, seconds = [row[0] for row in rows], [row[1] for row in rows]
    expected = iter([(average_rank(firsts, x), average_rank(seconds, y)) for x, y in rows])
    summed, logarithms = rank_sum(*drawn), log_rank_sum(*drawn)
    for row, values in enumerate(zip(*(column.tolist() for column in drawn), strict=True)):
        if any(map(math.isnan, values)):
            assert summed[row].isnan()
            assert logarithms[row].isnan()
        else:
            ranks = next(expected)
            assert summed[row] == sum(ranks)
            assert float(logarithms[row]) == pytest.approx(sum(math.log(rank / len(rows)) for rank in ranks))


def test_higher_is_better_and_any_number_of_columns():
    scores = torch.tensor([3.0, 1.0, 2.0, -math.inf])
    assert rank_sum(scores).tolist() == [4, 2, 3, 1]
    assert rank_sum(scores, scores, -scores).tolist() == [9, 7, 8, 6]
    assert log_rank_sum(scores, scores).argmax() == 0
    assert float(log_rank_sum(scores, scores).max()) == 0


def test_errors():
    with pytest.raises(ValueError, match="columns: expected one or more, got none"):
        rank_sum()
    with pytest.raises(ValueError, match=r"column 0 and column 1: expected one shape \[N\]"):
        log_rank_sum(torch.zeros(3), torch.zeros(2))
