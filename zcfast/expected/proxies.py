"""What can be computed for every architecture of a search space without building its network."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from zcfast.expected.synflow import nasbench101_expected_synflow, nasbench201_expected_synflow
from zcfast.spaces import SearchSpace

# Cells, the network's options and the proxy's own -> [N]
Compute = Callable[[SearchSpace[Any], Any, dict[str, Any], dict[str, Any]], Tensor]


@dataclass(frozen=True)
class SpaceProxy:
    """A score with a closed form over search spaces; higher is better."""

    definition: str
    unit: str
    source: str
    compute: Compute
    options: tuple[str, ...] = ()  # beyond those of the network


def _expected_synflow(space: SearchSpace[Any], cells: Any, network: dict[str, Any], options: dict[str, Any]) -> Tensor:
    functions: dict[str, Callable[..., Tensor]] = {
        "nasbench101": nasbench101_expected_synflow,
        "nasbench201": nasbench201_expected_synflow,
    }
    return functions[space.name](cells, space.network_with(network), **options)


PROXIES = {
    "expected_synflow": SpaceProxy(
        definition="natural logarithm of synflow at the mean absolute weights of a random initialisation, for an input "
        "of ones, every BatchNorm removed; -inf where synflow is 0",
        unit="ln(score)",
        source="Tanaka et al., NeurIPS 2020; Abdelfattah et al., ICLR 2021, section 3.2; docs/expected.md",
        compute=_expected_synflow,
        options=("initialisation",),
    ),
    "params": SpaceProxy(
        definition="trainable parameters of the network",
        unit="parameters",
        source="Ying et al., ICML 2019; Dong and Yang, ICLR 2020",
        compute=lambda space, cells, network, options: space.params(cells, **network),
    ),
    "flops": SpaceProxy(
        definition="multiply-adds of one image in convolutions and classifier",
        unit="multiply-adds",
        source="Ying et al., ICML 2019; Dong and Yang, ICLR 2020",
        compute=lambda space, cells, network, options: space.flops(cells, **network),
    ),
}
