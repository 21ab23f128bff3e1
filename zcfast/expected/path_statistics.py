"""The effective path statistics of whole search spaces in closed form; definitions in docs/expected.md."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from zcfast.expected.paths import ABSENT, CONV1X1, CONV3X3, IDENTITY, POOL, PROJECTION, Links, slot, to_output
from zcfast.spaces import Cells, CellSpace
from zcfast.spaces.nasbench101 import MAX_VERTICES, NasBench101Cells
from zcfast.spaces.nasbench201 import OPERATIONS as NASBENCH201_OPERATIONS
from zcfast.spaces.nasbench201 import NasBench201Cells

_OF_NASBENCH201 = {
    "none": ABSENT,
    "skip_connect": IDENTITY,
    "nor_conv_1x1": CONV1X1,
    "nor_conv_3x3": CONV3X3,
    "avg_pool_3x3": POOL,
}

# Column -> definition and unit. "Mean" is the mean over the paths from the cell's input to its output, weighted by
# variance.
COLUMNS = {
    "path_relus": ("mean number of ReLU layers on a path", "layers"),
    "path_relus_sd": ("standard deviation over paths of the number of ReLU layers", "layers"),
    "path_conv3x3": ("mean number of 3x3 convolutions on a path", "layers"),
    "path_conv1x1": ("mean number of 1x1 convolutions on a path, projections left out", "layers"),
    "path_pools": ("mean number of pools on a path", "layers"),
    "path_gain": ("mean of -1/2 ln of the variance that each convolution of the path reads, summed", "ln(gain)"),
    "path_shortest": ("fewest ReLU layers on a path", "layers"),
    "path_longest": ("most ReLU layers on a path", "layers"),
    "path_longest_conv3x3": ("most 3x3 convolutions on a path", "layers"),
    "path_receptive_field": ("1 + 2 x the most 3x3 convolutions and pools on a path", "pixels"),
    "path_ln_count": ("natural logarithm of the number of paths", "ln(paths)"),
    "path_variance": ("variance of the cell's output, the mean over its channels", "variance of the input"),
    "path_conv_layers": ("convolutions on paths, projections among them", "layers"),
    "path_projections": ("projections of the cell's input on paths", "layers"),
    "path_fan_in": ("links into the output on paths", "links"),
    "path_relu_units": ("channels of all convolutions and projections on paths", "channels of the output"),
    "path_width_conv3x3": ("channels of all 3x3 convolutions on paths", "channels of the output"),
    "path_width_conv1x1": ("channels of all 1x1 convolutions on paths", "channels of the output"),
    "path_width_pool": ("channels of all pools on paths", "channels of the output"),
    "path_output_conv3x3": ("channels that 3x3 convolutions give the output", "channels of the output"),
    "path_output_conv1x1": ("channels that 1x1 convolutions give the output", "channels of the output"),
    "path_output_pool": ("channels that pools give the output", "channels of the output"),
    "path_ln_params": ("natural logarithm of the network's trainable parameters", "ln(parameters)"),
}


def path_statistics(space: CellSpace[Any], cells: Any, network: dict[str, Any]) -> dict[str, Tensor]:
    """Every column of ``COLUMNS``, float64 [N].

    Let every convolution and projection give variance 1 (BatchNorm), as the cell's input has it, pools and identities
    pass the variance of their input on, and a vertex have the sum over its sources. A path's weight is the product over
    its links of their part in the variance of the vertex that they lead to. Links on no path do not count, except in
    the parameters. Channels split evenly, in fractions, so that isomorphic cells are equal but for ``path_ln_params``.

    Where no path leads from input to output: means, standard deviation, gain, shortest, longest and receptive field are
    NaN, ``path_ln_count`` is -inf, everything else but the parameters is 0.

    Args:
        space: NAS-Bench-101 or NAS-Bench-201.
        cells: N valid cells.
        network: options of the network; of all columns they change only ``path_ln_params``.
    """
    links, layers = _OF_SPACE[type(cells)](cells)
    columns = {**_over_paths(links), **_of_layers(layers), **_of_output(links)}
    columns["path_ln_params"] = space.params(cells, **network).double().log()
    return {name: columns[name] for name in COLUMNS}


@dataclass(frozen=True)
class _Layers:
    """The layers of N cells on paths: their operations, int8 [L, N], and widths in channels of the output, [L, N]."""

    operations: Tensor
    widths: Tensor

    def width(self, *operations: int) -> Tensor:
        return sum((self.widths * (self.operations == each) for each in operations), torch.zeros(())).sum(0)

    def count(self, *operations: int) -> Tensor:
        return sum(((self.operations == each).sum(0) for each in operations), torch.zeros(())).double()


def _over_paths(links: Links) -> dict[str, Tensor]:
    paths = to_output(links)
    spread = (paths.squared_relus - paths.relus.square()).clamp(min=0).sqrt()
    means = {
        "path_relus": paths.relus,
        "path_relus_sd": spread,
        "path_conv3x3": paths.conv3x3,
        "path_conv1x1": paths.conv1x1,
        "path_pools": paths.pools,
        "path_gain": paths.gain,
        "path_shortest": paths.shortest,
        "path_longest": paths.longest,
        "path_longest_conv3x3": paths.longest_conv3x3,
        "path_receptive_field": 1 + 2 * paths.longest_windows,
    }
    defined = {name: torch.where(paths.count > 0, column, torch.nan) for name, column in means.items()}
    return {**defined, "path_ln_count": paths.count.log(), "path_variance": paths.variance}


def _of_layers(layers: _Layers) -> dict[str, Tensor]:
    return {
        "path_conv_layers": layers.count(CONV3X3, CONV1X1, PROJECTION),
        "path_projections": layers.count(PROJECTION),
        "path_relu_units": layers.width(CONV3X3, CONV1X1, PROJECTION),
        "path_width_conv3x3": layers.width(CONV3X3),
        "path_width_conv1x1": layers.width(CONV1X1),
        "path_width_pool": layers.width(POOL),
    }


def _of_output(links: Links) -> dict[str, Tensor]:
    into = _Layers(links.into_output(), links.weights)
    return {
        "path_fan_in": (into.operations != ABSENT).sum(0).double(),
        "path_output_conv3x3": into.width(CONV3X3),
        "path_output_conv1x1": into.width(CONV1X1),
        "path_output_pool": into.width(POOL),
    }


def _nasbench101(cells: NasBench101Cells) -> tuple[Links, _Layers]:
    """A vertex's operation goes on each of its links, the output to the last vertex whatever the number of vertices."""
    last = MAX_VERTICES - 1
    edges, output = cells.edges, cells.vertices.int() - 1
    given = torch.tensor([CONV3X3, CONV1X1, POOL], dtype=torch.int8, device=cells.device)
    kinds = [torch.full_like(cells.vertices, PROJECTION), *given[cells.operations.clamp(min=0).int()].unbind(1)]
    operations = torch.zeros(slot(0, MAX_VERTICES), len(cells), dtype=torch.int8, device=cells.device)
    for v in range(1, MAX_VERTICES):
        for u in range(v):
            there = (edges >> slot(u, v) & 1).to(torch.int8) * kinds[u]
            operations[slot(u, last)] += there * (output == v)
            if v < last:
                operations[slot(u, v)] = there * (output > v)
    feeding = torch.ones(last, len(cells), dtype=torch.float64, device=cells.device)
    links = Links.on_paths(operations, feeding)
    feeding[1:] /= (links.into_output()[1:] != ABSENT).sum(0).clamp(min=1)
    widths = _widths(links)
    to = [links.operations[slot(0, v)] for v in range(1, MAX_VERTICES)]  # one projection for each link of the input
    inner = [kind * (width > 0) for kind, width in zip(kinds[1:], widths[1:last], strict=True)]
    return links, _Layers(torch.stack([*inner, *to]), torch.stack([*widths[1:last], *widths[1:]]))


def _widths(links: Links) -> list[Tensor]:
    """Channels of every vertex, of the output's: an equal part for those that feed it, else the largest that it feeds.

    0 for the input and for vertices on no path.
    """
    last = links.vertices - 1
    widths = [torch.zeros_like(links.weights[0])] * last + [torch.ones_like(links.weights[0])]
    for u in range(last - 1, 0, -1):
        own = links.weights[u] * (links.operations[slot(u, last)] != ABSENT)
        for v in range(u + 1, last):
            fed = torch.maximum(own, widths[v] * (links.operations[slot(u, v)] != ABSENT))
            own = torch.where(links.operations[slot(u, last)] != ABSENT, own, fed)
        widths[u] = own
    return widths


def _nasbench201(cells: NasBench201Cells) -> tuple[Links, _Layers]:
    codes = torch.tensor([_OF_NASBENCH201[name] for name in NASBENCH201_OPERATIONS], dtype=torch.int8)
    operations = codes.to(cells.device)[cells.operations.int()].T
    links = Links.on_paths(operations, torch.ones(3, len(cells), dtype=torch.float64, device=cells.device))
    return links, _Layers(links.operations, torch.ones_like(links.operations, dtype=torch.float64))


_OF_SPACE: dict[type[Cells], Callable[[Any], tuple[Links, _Layers]]] = {
    NasBench101Cells: _nasbench101,
    NasBench201Cells: _nasbench201,
}
