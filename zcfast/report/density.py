"""Ranks by score against ranks by accuracy, few enough numbers to draw."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from torch import Tensor

from zcfast.analysis.columns import complete_rows, within_top
from zcfast.order import average_ranks

POINTS = 2_000  # more rows than that become a grid
MAX_BINS = 48


def rank_scatter(scores: Tensor, accuracies: Tensor, fraction: float, bins: int = MAX_BINS) -> dict[str, Any]:
    """The rows of `spearman_top`, ranked within themselves: a point each, or how many fall into each cell of a grid.

    Args:
        scores, accuracies: [N] as `aligned` makes them. Rows with NaN in either are left out; equal values share the
            average of their ranks.
        fraction: which rows: the most accurate of those with both.
        bins: of the grid along each axis, at most.

    Returns:
        JSON values: `rows`, and either `points`, one [x, y, row] a row, or `bins` B and `counts` [B * B], by accuracy
        and within that by score. x and y are percentiles, 0 the worst and 100 the best.
    """
    rows = complete_rows([scores, accuracies]).nonzero()[:, 0]
    rows = rows[within_top(accuracies[rows], fraction)]
    size = len(rows)
    x, y = ((average_ranks(column[rows]).numpy() - 0.5) / max(1, size) for column in (scores, accuracies))
    if size <= POINTS:
        points = zip((100 * x).round(2).tolist(), (100 * y).round(2).tolist(), rows.tolist(), strict=True)
        return {"rows": size, "points": [list(point) for point in points]}
    bins = min(bins, math.isqrt(size // 2))
    places = (y * bins).astype(np.int64) * bins + (x * bins).astype(np.int64)
    return {"rows": size, "bins": bins, "counts": np.bincount(places, minlength=bins * bins).tolist()}
