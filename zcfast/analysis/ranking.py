"""How well scores rank architectures.

Every function takes scores [N] and accuracies [N] in any real dtype. Rows with NaN in either are left out; a score of
-inf is a real lowest value. Signs are kept: a score that ranks backwards has a negative correlation.
Source: Abdelfattah et al., "Zero-Cost Proxies for Lightweight NAS", ICLR 2021, section 4.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from zcfast.scores import best_first


def spearman(scores: Tensor, accuracies: Tensor) -> float:
    """Spearman's rank correlation, from -1 to 1; equal values share the average of their ranks.

    NaN where fewer than two rows are left or all scores or all accuracies are equal. Errors: ValueError for shapes that
    differ.
    """
    from scipy.stats import rankdata

    scores, accuracies = _comparable(scores, accuracies)
    if len(scores) < 2:
        return math.nan
    ranks = torch.stack([torch.from_numpy(rankdata(values.numpy())) for values in (scores, accuracies)])
    centred = ranks - ranks.mean(1, keepdim=True)
    lengths = centred.norm(dim=1)
    if not bool((lengths > 0).all()):
        return math.nan
    return float((centred[0] @ centred[1]) / lengths.prod())


def spearman_top(scores: Tensor, accuracies: Tensor, fraction: float = 0.1) -> float:
    """`spearman` over the `fraction` of the rows with the highest accuracies, e.g. 0.1 for the top 10 %.

    Rows as accurate as the last one that belongs to it are in too, so that the order of the rows does not matter.
    """
    scores, accuracies = _comparable(scores, accuracies)
    within = _within_top(accuracies, fraction)
    return spearman(scores[within], accuracies[within])


def top_fraction_in_top_k(scores: Tensor, accuracies: Tensor, fraction: float = 0.05, k: int = 64) -> int:
    """How many of the k best-scored rows are within the `fraction` of the rows with the highest accuracies.

    Of equal scores the lower row counts as the better one. At most k; all rows are taken where there are fewer.
    """
    if k < 1:
        raise ValueError(f"k: expected a number of rows >= 1, got {k}")
    scores, accuracies = _comparable(scores, accuracies)
    return int(_within_top(accuracies, fraction)[best_first(scores)[:k]].sum())


def _comparable(scores: Tensor, accuracies: Tensor) -> tuple[Tensor, Tensor]:
    """The rows that have both, on the CPU."""
    if scores.dim() != 1 or scores.shape != accuracies.shape:
        came = f"{list(scores.shape)} and {list(accuracies.shape)}"
        raise ValueError(f"scores and accuracies: expected one shape [N], got {came}")
    scores, accuracies = scores.detach().cpu(), accuracies.detach().cpu()
    both = ~(scores.isnan() | accuracies.isnan())
    return scores[both], accuracies[both]


def _within_top(accuracies: Tensor, fraction: float) -> Tensor:
    """Which rows belong to the most accurate `fraction`, bool [N]; at least one row, and all that equal the last."""
    if not 0 < fraction <= 1:
        raise ValueError(f"fraction: expected a number in (0, 1], got {fraction}")
    if not len(accuracies):
        return torch.zeros(0, dtype=torch.bool)
    count = max(1, round(fraction * len(accuracies)))
    return accuracies >= accuracies.sort(descending=True).values[count - 1]
