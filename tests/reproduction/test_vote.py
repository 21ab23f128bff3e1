import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reproduction.vote import pairs_ordered

VALUES = st.sampled_from([-math.inf, 0.0, 1.0, 2.0, 3.0])


def as_the_notebook_does(columns, accuracies):
    """Both orders of every pair; what at least two of three do not say to be better counts as worse."""
    right = total = 0
    for i, one in enumerate(accuracies):
        for j, other in enumerate(accuracies):
            if one != other:
                better = sum(column[i] > column[j] for column in columns)
                sign = 1 if better >= 1.5 else -1
                right += sign * (one - other) > 0
                total += 1
    return right / total if total else math.nan


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(VALUES, VALUES, VALUES, st.sampled_from([1.0, 2.0, 3.0])), max_size=12))
def test_it_is_the_number_of_the_authors_notebook(rows):
    columns = torch.tensor(rows, dtype=torch.float64).reshape(-1, 4).unbind(1)
    expected = as_the_notebook_does([column.tolist() for column in columns[:3]], columns[3].tolist())
    assert pairs_ordered(*columns, resamples=1).estimate == pytest.approx(expected, nan_ok=True)


def test_the_interval_is_that_of_resampled_rows():
    generator = torch.Generator().manual_seed(1)
    accuracies = torch.randn(40, generator=generator).double()
    columns = [accuracies + torch.randn(40, generator=generator).double() for _ in range(3)]
    interval = pairs_ordered(*columns, accuracies, resamples=50)
    generator = torch.Generator().manual_seed(0)
    values = []
    for _ in range(50):
        drawn = torch.randint(40, (40,), generator=generator)
        values.append(as_the_notebook_does([column[drawn].tolist() for column in columns], accuracies[drawn].tolist()))
    quantiles = torch.tensor(values, dtype=torch.float64).quantile(torch.tensor([0.025, 0.975]).double())
    assert [interval.low, interval.high] == pytest.approx(quantiles.tolist(), abs=1e-6)


def test_rows_with_nan_are_left_out():
    columns = [torch.tensor([1.0, 2.0, 3.0, math.nan])] * 3
    assert pairs_ordered(*columns, torch.tensor([1.0, 2.0, 3.0, 0.0]), resamples=1).estimate == 1
