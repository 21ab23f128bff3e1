"""The effective path statistics of whole search spaces in closed form; definitions in docs/expected.md."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from zcfast.expected.paths import ABSENT, CONV1X1, CONV3X3, POOL, PROJECTION, Links, to_output


@dataclass(frozen=True)
class Layers:
    """The layers of N cells on paths: their operations, int8 [L, N], and widths in channels of the output, [L, N]."""

    operations: Tensor
    widths: Tensor

    def width(self, *operations: int) -> Tensor:
        """Channels of all layers with these operations, float64 [N]."""
        return sum((self.widths * (self.operations == each) for each in operations), torch.zeros(())).sum(0)

    def count(self, *operations: int) -> Tensor:
        """How many layers have these operations, float64 [N]."""
        return sum(((self.operations == each).sum(0) for each in operations), torch.zeros(())).double()


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


def path_statistics(
    links: Links, layers: Layers, params: Tensor, names: Iterable[str] = tuple(COLUMNS)
) -> dict[str, Tensor]:
    """Columns of ``COLUMNS``, float64 [N].

    Let every convolution and projection give variance 1 (BatchNorm), as the cell's input has it, pools and identities
    pass the variance of their input on, and a vertex have the sum over its sources. A path's weight is the product over
    its links of their part in the variance of the vertex that they lead to. Links on no path do not count, except in
    the parameters. Channels split evenly, in fractions, so that isomorphic cells are equal but for ``path_ln_params``.

    Where no path leads from input to output: means, standard deviation, gain, shortest, longest and receptive field are
    NaN, ``path_ln_count`` is -inf, everything else but the parameters is 0.

    Args:
        links: N cells, the links on paths alone (``Links.on_paths``).
        layers: their layers on paths.
        params: parameters of their networks, int64 [N].
        names: of the columns; all by default. ``path_rank`` reads few, in three quarters of the time.
    """
    columns = {**_of_layers(layers), **_of_output(links), "path_ln_params": params.double().log}
    over_paths = _over_paths(links)
    return {name: over_paths[name] if name in over_paths else columns[name]() for name in names}


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


def _of_layers(layers: Layers) -> dict[str, Callable[[], Tensor]]:
    return {
        "path_conv_layers": lambda: layers.count(CONV3X3, CONV1X1, PROJECTION),
        "path_projections": lambda: layers.count(PROJECTION),
        "path_relu_units": lambda: layers.width(CONV3X3, CONV1X1, PROJECTION),
        "path_width_conv3x3": lambda: layers.width(CONV3X3),
        "path_width_conv1x1": lambda: layers.width(CONV1X1),
        "path_width_pool": lambda: layers.width(POOL),
    }


def _of_output(links: Links) -> dict[str, Callable[[], Tensor]]:
    into = Layers(links.into_output(), links.weights)
    return {
        "path_fan_in": lambda: (into.operations != ABSENT).sum(0).double(),
        "path_output_conv3x3": lambda: into.width(CONV3X3),
        "path_output_conv1x1": lambda: into.width(CONV1X1),
        "path_output_pool": lambda: into.width(POOL),
    }
