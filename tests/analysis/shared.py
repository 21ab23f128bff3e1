"""Drawn columns with ties, infinities and NaN."""

import math

import torch
from hypothesis import strategies as st

FEW_VALUES = st.sampled_from([-math.inf, -2.0, -1.0, 0.0, 0.5, 1.0, 3.0])
WITH_NAN = st.one_of(FEW_VALUES, st.just(math.nan))
ACCURACIES = st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.25, 0.5, 1.0, math.nan]))


def columns(scores=WITH_NAN, accuracies=ACCURACIES, min_size=0, max_size=30):
    """Two float64 tensors of one length."""
    rows = st.lists(st.tuples(scores, accuracies), min_size=min_size, max_size=max_size)
    return rows.map(lambda drawn: torch.tensor(drawn, dtype=torch.float64).reshape(-1, 2).unbind(1))


def complete(scores, accuracies):
    """The rows without NaN as a list of pairs."""
    pairs = zip(scores.tolist(), accuracies.tolist(), strict=True)
    return [(score, accuracy) for score, accuracy in pairs if not (math.isnan(score) or math.isnan(accuracy))]
