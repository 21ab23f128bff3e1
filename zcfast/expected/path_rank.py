"""A ranking of cells without training, from the effective path statistics."""

import torch
from torch import Tensor

from zcfast.order import average_ranks

READS = ("path_conv_layers", "path_pools", "path_conv3x3")
DIGITS = 9  # behind the point: sums in another order are still equal


def path_rank(statistics: dict[str, Tensor]) -> dict[str, Tensor]:
    """The column "path_rank", float64 [N], at most 0 and higher is better, from the columns ``READS``.

    The sum of the logarithms of three average ranks, as shares of the N cells: by ``path_conv_layers``, by fewest
    ``path_pools`` and by ``path_conv3x3``; cells without a path rank last by the latter two. A cell's value depends on
    the others of the set, so values of two sets cannot be compared.

    Source: zcfast. The rule was chosen on half of the CIFAR-10 accuracies of NAS-Bench-201 out of 26,208 pairs and
    triples of statistics; nine rules were frozen, this is one of them. On NAS-Bench-101 it was known beforehand that
    convolutions and pools correlate with accuracy.
    """
    conv_layers, pools, conv3x3 = (statistics[name] for name in READS)
    columns = (conv_layers, _last(-pools), _last(conv3x3))
    ranks = torch.stack([average_ranks(column.cpu()) for column in columns])
    return {"path_rank": (ranks / max(1, len(conv_layers))).log().sum(0).to(conv_layers.device)}


def _last(column: Tensor) -> Tensor:
    return column.round(decimals=DIGITS).nan_to_num(-torch.inf, torch.inf, -torch.inf)
