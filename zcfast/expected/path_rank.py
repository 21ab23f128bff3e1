"""Rankings of cells without training, from the effective path statistics."""

from __future__ import annotations

import torch
from torch import Tensor

from zcfast.order import average_ranks

DIGITS = 9  # behind the point: sums in another order are still equal
# Version -> the statistics whose ranks count; where the sign is -1, lower is better.
VERSIONS: dict[int, dict[str, int]] = {
    1: {"path_conv_layers": 1, "path_pools": -1, "path_conv3x3": 1},
    2: {"path_ln_params": 1, "path_conv_layers": 1, "path_pools": -1, "path_longest_conv3x3": 1},
}
LATEST = max(VERSIONS)
READS = tuple(dict.fromkeys(name for version in VERSIONS.values() for name in version))


def path_rank(statistics: dict[str, Tensor], version: int = LATEST) -> dict[str, Tensor]:
    """The column "path_rank", float64 [N], at most 0 and higher is better, from the columns ``READS``.

    The sum of the logarithms of the average ranks, as shares of the N cells, by the statistics of a version; cells
    without a path rank last by each that is a mean or a maximum over paths. A cell's value depends on the others of the
    set: values of two sets cannot be compared, and to pick within a limit only the cells within it are scored.

    Source: zcfast. Version 2 was picked after looking at the accuracies of NAS-Bench-101 and NAS-Bench-201. Version 1
    was chosen on half of the CIFAR-10 accuracies of NAS-Bench-201 out of 26,208 pairs and triples of statistics; nine
    rules were frozen, this is one of them. On NAS-Bench-101 it was known beforehand that convolutions and pools
    correlate with accuracy.

    Raises:
        ValueError: an unknown version.
    """
    if isinstance(version, bool) or version not in VERSIONS:
        raise ValueError(f"path_rank_version: expected one of {', '.join(map(str, VERSIONS))}, got {version!r}")
    columns = [_last(sign * statistics[name]) for name, sign in VERSIONS[version].items()]
    ranks = torch.stack([average_ranks(column.cpu()) for column in columns])
    return {"path_rank": (ranks / max(1, ranks.shape[1])).log().sum(0).to(columns[0].device)}


def _last(column: Tensor) -> Tensor:
    return column.round(decimals=DIGITS).nan_to_num(-torch.inf, torch.inf, -torch.inf)
