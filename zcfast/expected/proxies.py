"""What can be computed for every architecture of a search space without building its network."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from zcfast.expected.path_rank import READS, path_rank
from zcfast.expected.path_statistics import COLUMNS as PATH_COLUMNS
from zcfast.expected.path_statistics import path_statistics
from zcfast.expected.synflow import nasbench101_expected_synflow, nasbench201_expected_synflow
from zcfast.spaces import CellSpace

# Cells, the network's options and the proxy's own -> columns [N]
Compute = Callable[[CellSpace[Any], Any, dict[str, Any], dict[str, Any]], dict[str, Tensor]]


@dataclass(frozen=True)
class Column:
    """What a column of scores means."""

    definition: str
    unit: str
    source: str


@dataclass(frozen=True)
class SpaceProxy:
    """One or more columns with a closed form over search spaces; higher is better, but for the path statistics.

    ``within``, where there is one, makes the columns from those that ``compute`` gives of all cells together: their
    values depend on the set of cells.
    """

    columns: dict[str, Column]
    compute: Compute
    options: tuple[str, ...] = ()  # beyond those of the network
    within: Callable[[dict[str, Tensor]], dict[str, Tensor]] | None = None


def _expected_synflow(
    space: CellSpace[Any], cells: Any, network: dict[str, Any], options: dict[str, Any]
) -> dict[str, Tensor]:
    functions: dict[str, Callable[..., Tensor]] = {
        "nasbench101": nasbench101_expected_synflow,
        "nasbench201": nasbench201_expected_synflow,
    }
    return {"expected_synflow": functions[space.name](cells, space.network_with(network), **options)}


def _path_statistics(
    space: CellSpace[Any], cells: Any, network: dict[str, Any], options: dict[str, Any]
) -> dict[str, Tensor]:
    return path_statistics(space, cells, network)


def _of_path_rank(
    space: CellSpace[Any], cells: Any, network: dict[str, Any], options: dict[str, Any]
) -> dict[str, Tensor]:
    statistics = path_statistics(space, cells, network)
    return {name: statistics[name] for name in READS}


_SIZES = "Ying et al., ICML 2019; Dong and Yang, ICLR 2020"

PROXIES = {
    "expected_synflow": SpaceProxy(
        columns={
            "expected_synflow": Column(
                "natural logarithm of synflow at the mean absolute weights of a random initialisation, for an input of "
                "ones, every BatchNorm removed; -inf where synflow is 0",
                "ln(score)",
                "Tanaka et al., NeurIPS 2020; Abdelfattah et al., ICLR 2021, section 3.2; docs/expected.md",
            )
        },
        compute=_expected_synflow,
        options=("initialisation",),
    ),
    "params": SpaceProxy(
        columns={"params": Column("trainable parameters of the network", "parameters", _SIZES)},
        compute=lambda space, cells, network, options: {"params": space.params(cells, **network)},
    ),
    "flops": SpaceProxy(
        columns={"flops": Column("multiply-adds of one image in convolutions and classifier", "multiply-adds", _SIZES)},
        compute=lambda space, cells, network, options: {"flops": space.flops(cells, **network)},
    ),
    "path_statistics": SpaceProxy(
        columns={name: Column(*text, "zcfast, docs/expected.md") for name, text in PATH_COLUMNS.items()},
        compute=_path_statistics,
    ),
    "path_rank": SpaceProxy(
        columns={
            "path_rank": Column(
                "sum of the logarithms of a cell's average rank, as a share of all, among the cells scored with it, by "
                "convolutions, by fewest mean pools on a path and by mean 3x3 convolutions on a path; at most 0",
                "ln(rank)",
                "zcfast, docs/expected.md: chosen on half of NAS-Bench-201's CIFAR-10 accuracies out of 26,208 rules",
            )
        },
        compute=_of_path_rank,
        within=path_rank,
    ),
}
