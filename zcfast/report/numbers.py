"""Every number of the page, computed by zcfast.analysis and handed on as JSON values; what is undefined is None."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from torch import Tensor

from zcfast.analysis import (
    best_at_k,
    improvements,
    kendall_top,
    random_trainings_until,
    spearman,
    spearman_top,
    top_fraction_overlap,
    trainings_until,
)
from zcfast.analysis.columns import aligned, rows_in, within_top
from zcfast.report.density import MAX_BINS, rank_scatter
from zcfast.scores import Scores
from zcfast.tables import Table

FRACTIONS = (1.0, 0.5, 0.1, 0.05, 0.01)
TARGETS = (0.05, 0.01, 0.001)  # shares of the most accurate rows; the best of all comes last
TRAINED = 10
GRID_CELLS = 1_000_000  # in all scatters: about 2.5 MB of the page


def numbers(scores: Scores, accuracies: dict[str, Tensor]) -> list[dict[str, Any]]:
    """For each metric, by fraction and score: correlations, scatters and the search's curves.

    Args:
        scores: N rows.
        accuracies: metric -> [N] float64, NaN where missing.
    """
    columns = dict(zip(scores.columns, aligned(scores.columns), strict=True))
    scatters = len(accuracies) * len(FRACTIONS) * len(columns)
    bins = max(8, min(MAX_BINS, math.isqrt(GRID_CELLS // max(1, scatters))))
    return [_of_metric(list(columns.values()), values, bins) for values in accuracies.values()]


def names(scores: Scores, accuracies: dict[str, Tensor], table: Table) -> dict[str, Any]:
    """What the columns and metrics are called, and their units."""
    meanings = scores.provenance.columns
    units = {name: meanings[name].unit if name in meanings else "" for name in scores.columns}
    return {
        "scores": [{"name": name, "unit": unit} for name, unit in units.items()],
        "metrics": [{"name": name, "unit": table.metrics[name].unit} for name in accuracies],
        "fractions": list(FRACTIONS),
    }


def _of_metric(columns: list[Tensor], accuracies: Tensor, bins: int) -> dict[str, Any]:
    statistics = [[_statistics(column, accuracies, part) for column in columns] for part in FRACTIONS]
    ranking = [[each["spearman"] for each in part] for part in statistics]
    return {
        "statistics": statistics,
        "scatters": [[rank_scatter(column, accuracies, part, bins) for column in columns] for part in FRACTIONS],
        "correlations": [
            _matrix(columns, accuracies, part, last) for part, last in zip(FRACTIONS, ranking, strict=True)
        ],
        "floors": [_floor(accuracies, part) for part in FRACTIONS],
        "curves": [_curve(column, accuracies) for column in columns],
        "random": _random_curve(accuracies),
        "targets": _targets(columns, accuracies),
    }


def _statistics(column: Tensor, accuracies: Tensor, fraction: float) -> dict[str, float | None]:
    """The row of one score in the table of a fraction."""
    best = best_at_k(column, accuracies, TRAINED)
    return {
        "spearman": _defined(spearman_top(column, accuracies, fraction)),
        "kendall": _defined(kendall_top(column, accuracies, fraction)),
        "overlap": _defined(top_fraction_overlap(column, accuracies, fraction)),
        "best": _defined(best),
    }


def _matrix(
    columns: list[Tensor], accuracies: Tensor, fraction: float, ranking: list[float | None]
) -> list[list[float | None]]:
    """Spearman of every pair of scores over the most accurate rows, and in the last row `ranking`: of the accuracies.

    Symmetric; the diagonal is 1, None for a column whose values are all equal.
    """
    rows = (~accuracies.isnan()).nonzero()[:, 0]
    rows = rows[within_top(accuracies[rows], fraction)]
    selected = [column[rows] for column in [*columns, accuracies]]
    size = len(selected)
    matrix: list[list[float | None]] = [[None] * size for _ in range(size)]
    for i in range(size):
        matrix[i][i] = 1.0 if len(np.unique(selected[i][~selected[i].isnan()].numpy())) > 1 else None
        for j in range(i):
            value = ranking[j] if i == len(columns) else _defined(spearman(selected[i], selected[j]))
            matrix[i][j] = matrix[j][i] = value
    return matrix


def _floor(accuracies: Tensor, fraction: float) -> float | None:
    """The least accuracy of a fraction."""
    present = accuracies[~accuracies.isnan()]
    return float(present[within_top(present, fraction)].min()) if len(present) else None


def _curve(column: Tensor, accuracies: Tensor) -> list[list[float]]:
    """[trainings, best accuracy so far] wherever the latter rises, and once more after the last training."""
    trainings, best = (values.tolist() for values in improvements(column, accuracies))
    total = int((~(column.isnan() | accuracies.isnan())).sum())
    return [*map(list, zip(trainings, best, strict=True)), *([[total, best[-1]]] if total else [])]


def _random_curve(accuracies: Tensor) -> list[list[float]]:
    """[mean trainings, target] of a search in random order, for targets from all rows to the best one."""
    present = accuracies[~accuracies.isnan()].sort(descending=True).values.numpy()
    if not len(present):
        return []
    ranks = np.unique(np.geomspace(1, len(present), 60).round().astype(np.int64))
    targets = np.unique(present[ranks - 1]).tolist()
    return [[random_trainings_until(present, target) or math.nan, target] for target in targets]


def _targets(columns: list[Tensor], accuracies: Tensor) -> list[dict[str, Any]]:
    """How many trainings each score needs for some targets."""
    present = accuracies[~accuracies.isnan()]
    if not len(present):
        return []
    fractions = [part for part in TARGETS if rows_in(part, len(present)) > 1]
    named = [(f"top {100 * part:g} %", float(present[within_top(present, part)].min())) for part in fractions]
    return [
        {
            "name": name,
            "accuracy": target,
            "trainings": [trainings_until(column, accuracies, target) for column in columns],
            "random": random_trainings_until(present, target),
        }
        for name, target in [*named, ("the best", float(present.max()))]
    ]


def _defined(value: float) -> float | None:
    return None if math.isnan(value) else value
