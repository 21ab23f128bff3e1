"""The pairwise majority of three columns."""

import math
import random

import hypothesis.strategies as st
import numpy
import pyarrow
import pytest
import torch
from hypothesis import given, settings

from zcfast.analysis import vote


def slow_vote(columns):
    """Points by the definition, pair by pair."""
    rows = list(zip(*columns, strict=True))
    valid = [not any(map(math.isnan, row)) for row in rows]
    points = []
    for i, one in enumerate(rows):
        total = 0.0
        for j, other in enumerate(rows):
            if i == j or not valid[j]:
                continue
            balance = sum((a > b) - (a < b) for a, b in zip(one, other, strict=True))
            total += 1.0 if balance > 0 else 0.5 if balance == 0 else 0.0
        points.append(total if valid[i] else math.nan)
    return points


values = st.sampled_from([0.0, 1.0, 2.0, -1.5, math.inf, -math.inf, math.nan, 1e300])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(values, values, values), max_size=12))
def test_definition(rows):
    columns = [list(column) for column in zip(*rows, strict=True)] or [[], [], []]
    got = vote(*(torch.tensor(column, dtype=torch.float64) for column in columns))
    assert got.tolist() == pytest.approx(slow_vote(columns), nan_ok=True)


def test_more_than_one_block():
    generator = random.Random(0)
    columns = [[generator.random() for _ in range(1100)] for _ in range(3)]
    got = vote(*map(torch.tensor, columns))
    assert got.sum() == 1100 * 1099 / 2
    expected = slow_vote([column[:40] for column in columns])
    assert vote(*(torch.tensor(column[:40]) for column in columns)).tolist() == expected


def test_ties_and_nan():
    nan = math.nan
    assert vote(torch.tensor([1.0, 1.0]), torch.tensor([2.0, 2.0]), torch.tensor([3.0, 3.0])).tolist() == [0.5, 0.5]
    got = vote(torch.tensor([3.0, 2.0, 1.0]), torch.tensor([3.0, 2.0, nan]), torch.tensor([3.0, 2.0, 9.0]))
    assert got[:2].tolist() == [1, 0]
    assert math.isnan(got[2])
    assert vote(*[torch.zeros(0)] * 3).tolist() == []


def test_two_of_three_win():
    assert vote(torch.tensor([1.0, 0.0]), torch.tensor([1.0, 0.0]), torch.tensor([0.0, 9.0])).tolist() == [1, 0]


def test_columns_of_other_libraries():
    columns = [numpy.array([1.0, 2.0, 3.0])[::-1], pyarrow.array([3, None, 1]), [2, 1, None]]
    assert vote(*columns).tolist() == pytest.approx([0, math.nan, math.nan], nan_ok=True)


def test_columns_of_different_length():
    with pytest.raises(ValueError, match=r"synflow and jacob_cov and snip: expected one shape \[N\], got .* and \[2\]"):
        vote(torch.zeros(3), torch.zeros(3), torch.zeros(2))
