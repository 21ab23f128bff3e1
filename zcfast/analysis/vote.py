"""The paper's vote of three proxies over a set of nets."""

from __future__ import annotations

import torch
from torch import Tensor

from zcfast.analysis.columns import Column, aligned

_BLOCK = 1024  # rows compared at once: a block of a million nets takes 1 GiB


def vote(synflow: Column, jacob_cov: Column, snip: Column) -> Tensor:
    """Rank a set of nets by the majority of three proxies on each pair of them.

    A net gets one point for each other net that it beats. It beats another where more columns prefer it than prefer
    the other; a column in which the two are equal prefers neither. Where as many columns prefer each, both get half a
    point. The points depend on the whole set: a net alone has no vote.

    Args:
        synflow, jacob_cov, snip: [M] scores of the same nets, higher is better. Logarithms do as well as values; any
            columns that zcfast.analysis takes.

    Returns:
        [M] float64 points, 0 to M - 1, higher is better, on the device of `synflow` if that is a tensor. A net with a
        NaN in any column gets NaN and takes no part in the points of the others.

    Raises:
        ValueError: the columns are not one-dimensional, of one length and of real numbers.

    Source: Abdelfattah et al. 2021, section 3.3. Takes time in M squared: 15,625 nets about a second, 423,624 minutes.
    """
    columns = aligned({"synflow": synflow, "jacob_cov": jacob_cov, "snip": snip})
    device = synflow.device if isinstance(synflow, Tensor) else "cpu"
    table = torch.stack([column.double() for column in columns]).to(device)
    valid = ~table.isnan().any(0)
    # Ranks compare as the values do, in small integers.
    ranks = [column.unique(return_inverse=True)[1].int() for column in table[:, valid]]
    points = torch.full_like(table[0], torch.nan)
    counted = torch.zeros(int(valid.sum()), dtype=torch.float64, device=table.device)
    for start in range(0, len(counted), _BLOCK):
        rows = slice(start, start + _BLOCK)
        preference = sum((rank[rows, None] - rank[None, :]).sign_().to(torch.int8) for rank in ranks)
        assert isinstance(preference, Tensor)
        # Half a point for a draw, but not for the draw with itself.
        counted[rows] = (preference.sign().sum(1, dtype=torch.float64) + len(counted) - 1) / 2
    points[valid] = counted
    return points
