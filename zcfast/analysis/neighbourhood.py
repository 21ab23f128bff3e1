"""How well scores rank within local neighbourhoods, such as all architectures one edit away from one of them."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zcfast.analysis.columns import Column, aligned, as_column, codes, complete_rows

_BLOCK = 1 << 16  # neighbourhoods at once: their members fit into the caches
Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, eq=False)
class LocalRanking:
    """One value for each of M neighbourhoods, NaN where it is undefined.

    Attributes:
        spearman: Spearman's rank correlation within the neighbourhood, float64 [M].
        best_picked: probability that its best-scored member is its most accurate one, float64 [M].
    """

    spearman: Tensor
    best_picked: Tensor

    @property
    def mean_spearman(self) -> float:
        """The average correlation over the neighbourhoods that have one; NaN where none has."""
        return float(self.spearman.nanmean())

    @property
    def mean_best_picked(self) -> float:
        """The average probability over the neighbourhoods that have one; NaN where none has."""
        return float(self.best_picked.nanmean())


def local_ranking(scores: Column, accuracies: Column, offsets: Column, ids: Column) -> LocalRanking:
    """Rank correlation, and whether the best is found, within each of M neighbourhoods.

    Args:
        scores, accuracies: [N] of all architectures, higher is better.
        offsets: integers [M + 1], from 0 to E, never falling.
        ids: integers [E]: the rows, 0 to N - 1, of the members of neighbourhood m are ids[offsets[m]:offsets[m + 1]].
            An architecture belongs to its own neighbourhood only if its row is given.

    Members with NaN in score or accuracy are left out. In a neighbourhood with fewer than two others both values are
    NaN, and the correlation is where all its scores or all its accuracies are equal. Equal values share the average of
    their ranks. Of T members that share the best score one is drawn, so where H of them have the highest accuracy the
    probability is H / T; the order of members does not matter. -inf is a real lowest value, signs are kept.

    Errors: ValueError for shapes that differ, columns without real numbers, offsets or ids that are not as above.
    Source: Abdelfattah et al. 2021, appendix: rank correlation and top model in clusters of edit distance one. Takes
    time in E log(E / M).
    """
    columns = aligned({"scores": scores, "accuracies": accuracies})
    bounds, members = _checked(offsets, ids, len(columns[0]))
    if len(members) < len(columns[0]):
        # Few neighbourhoods: rank only the rows that are in one.
        used, members = np.unique(members, return_inverse=True)
        columns = [column[used] for column in columns]
    complete = complete_rows(columns)
    ranked = [_codes_or_zero(column, complete) for column in columns]
    spearman, best_picked = np.full((2, len(bounds) - 1), math.nan)
    for start in range(0, len(spearman), _BLOCK):
        block = slice(start, start + _BLOCK)
        first, last = bounds[start], bounds[min(start + _BLOCK, len(spearman))]
        within = members[first:last]
        kept = complete.numpy()[within]
        starts = np.concatenate([[0], np.cumsum(kept)])[bounds[start : start + _BLOCK + 1] - first]
        values = [column[within[kept]] for column in ranked]
        spearman[block], best_picked[block] = _correlations(values, starts), _probabilities(values, starts)
    return LocalRanking(torch.from_numpy(spearman), torch.from_numpy(best_picked))


def _checked(offsets: Column, ids: Column, size: int) -> tuple[Integers, Integers]:
    tensors = {"offsets": as_column(offsets, "offsets"), "ids": as_column(ids, "ids")}
    for name, tensor in tensors.items():
        # An empty list has no dtype of its own.
        if tensor.dim() != 1 or (tensor.is_floating_point() and len(tensor)):
            raise ValueError(f"{name}: expected integers in one dimension, got {tensor.dtype} {list(tensor.shape)}")
    bounds, members = (tensor.long().numpy() for tensor in tensors.values())
    if not len(bounds) or bounds[0] != 0 or bounds[-1] != len(members) or (np.diff(bounds) < 0).any():
        raise ValueError(f"offsets: expected integers that rise from 0 to the {len(members)} ids, got others")
    if len(members) and not 0 <= members.min() <= members.max() < size:
        raise ValueError(f"ids: expected rows from 0 to {size - 1}, got {members.min()} to {members.max()}")
    return bounds, members


def _codes_or_zero(column: Tensor, complete: Tensor) -> Integers:
    """Integers that compare as the values in the complete rows do; 0 in the others."""
    ranked = torch.zeros(len(column), dtype=torch.int64)
    ranked[complete] = codes(column[complete])
    return ranked.numpy()


def _correlations(columns: list[Integers], offsets: Integers) -> Floats:
    """Spearman's correlation [M] of two columns [E] within each neighbourhood."""
    first, second = (_centred_ranks(column, offsets) for column in columns)
    products = [_sums(left * right, offsets) for left, right in ((first, second), (first, first), (second, second))]
    lengths = np.sqrt(products[1] * products[2])
    return _ratio(products[0], lengths, lengths > 0).clip(-1, 1)


def _centred_ranks(column: Integers, offsets: Integers) -> Floats:
    """Average rank [E] of each member within its neighbourhood less the mean of all ranks there."""
    from scipy.sparse import csr_array

    # The members as a sparse matrix with a row for each neighbourhood: scipy sorts within rows, and in place.
    shape = (len(offsets) - 1, column.max(initial=0) + 1)
    matrix = csr_array((np.arange(len(column)), column.copy(), offsets), shape=shape)
    matrix.sort_indices()
    order, ordered = matrix.data, matrix.indices
    new = np.ones(len(ordered) + 1, dtype=np.bool_)
    new[1:-1] = ordered[1:] != ordered[:-1]
    new[offsets] = True
    groups = np.flatnonzero(new)
    middles = (groups[:-1] + groups[1:] - 1) / 2
    centres = (offsets[:-1] + offsets[1:] - 1) / 2
    ranks = np.empty(len(column))
    ranks[order] = np.repeat(middles, np.diff(groups)) - np.repeat(centres, np.diff(offsets))
    return ranks


def _probabilities(columns: list[Integers], offsets: Integers) -> Floats:
    """Probability [M] that a draw from the best by the first column is among the best by the second."""
    sizes = np.diff(offsets)
    best_scored, most_accurate = (column == np.repeat(_maxima(column, offsets), sizes) for column in columns)
    draws = _sums(best_scored, offsets)
    found = _sums(best_scored & most_accurate, offsets)
    return _ratio(found, draws, sizes >= 2)


def _ratio(numerator: Floats, denominator: Floats, defined: NDArray[np.bool_]) -> Floats:
    ratio = np.full(len(numerator), math.nan)
    ratio[defined] = numerator[defined] / denominator[defined]
    return ratio


def _sums(values: NDArray[Any], offsets: Integers) -> Floats:
    """The sum of the values [E] in each neighbourhood [M]; 0 in an empty one."""
    return _reduced(np.add, values.astype(np.float64), offsets)


def _maxima(values: Integers, offsets: Integers) -> Integers:
    """The maximum of the values [E] in each neighbourhood [M]; 0 in an empty one."""
    return _reduced(np.maximum, values, offsets)


def _reduced(ufunc: np.ufunc, values: NDArray[Any], offsets: Integers) -> NDArray[Any]:
    occupied = np.diff(offsets) > 0
    reduced = np.zeros(len(occupied), dtype=values.dtype)
    if occupied.any():
        # The empty ones between two occupied ones hold no members, so each sum ends where the next starts.
        reduced[occupied] = ufunc.reduceat(values, offsets[:-1][occupied])
    return reduced
