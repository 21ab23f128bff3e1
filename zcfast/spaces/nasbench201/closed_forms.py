"""The closed forms of NAS-Bench-201."""

from collections.abc import Iterable, Mapping
from dataclasses import astuple
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from zcfast._native import device_of_kernel
from zcfast.expected.path_statistics import Layers, path_statistics
from zcfast.expected.paths import ABSENT, CONV1X1, CONV3X3, IDENTITY, POOL, Links
from zcfast.expected.precision import in_float64
from zcfast.nets.initialisation import initialisation as named_initialisation
from zcfast.spaces import forms
from zcfast.spaces.capabilities import ClosedForm, ClosedForms
from zcfast.spaces.nasbench201.cells import OPERATIONS, NasBench201Cells
from zcfast.spaces.nasbench201.network import NasBench201Network
from zcfast.spaces.nasbench201.space import NasBench201

_ops = torch.ops.zcfast
_LINKS = {
    "none": ABSENT,
    "skip_connect": IDENTITY,
    "nor_conv_1x1": CONV1X1,
    "nor_conv_3x3": CONV3X3,
    "avg_pool_3x3": POOL,
}


class CellForms(ClosedForms):
    """Expected synflow, sizes and path statistics."""

    def __init__(self, space: NasBench201) -> None:
        """Take the space."""
        self._space = space

    @cached_property
    def forms(self) -> Mapping[str, ClosedForm]:
        """The closed forms by name."""
        return {
            "expected_synflow": forms.expected_synflow(self._expected_synflow),
            **forms.sizes(self._space, "Ying et al., ICML 2019; Dong and Yang, ICLR 2020"),
            **forms.path_forms(self._path_statistics),
        }

    def _expected_synflow(self, cells: NasBench201Cells, network: dict[str, Any], **own: Any) -> Tensor:
        return nasbench201_expected_synflow(cells, self._space.network_with(network), **own)

    def _path_statistics(
        self, cells: NasBench201Cells, network: dict[str, Any], names: Iterable[str]
    ) -> dict[str, Tensor]:
        return path_statistics(*links_and_layers(cells), self._space.params(cells, **network), names)


def nasbench201_expected_synflow(
    cells: NasBench201Cells,
    network: NasBench201Network | None = None,
    initialisation: str = NasBench201.initialisation,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Natural logarithm of expected synflow of NAS-Bench-201 networks, float64 [N].

    -inf where nothing but the classifier's bias reaches the output. Every BatchNorm is removed and the convolutions of
    the cells have biases, as in the published networks without BatchNorm.
    """
    net, init = network or NasBench201Network(), named_initialisation(initialisation)
    on = cells.to(device_of_kernel("nasbench201_expected_synflow", cells.device))
    scores: Tensor = _ops.nasbench201_expected_synflow(
        on.operations,
        *astuple(net),
        *astuple(init),
        in_float64(dtype),
    )
    return scores.to(cells.device)


@torch.library.register_fake("zcfast::nasbench201_expected_synflow")
def _(operations: Tensor, *network: object) -> Tensor:
    return operations.new_empty(operations.shape[:1], dtype=torch.float64)


def links_and_layers(cells: NasBench201Cells) -> tuple[Links, Layers]:
    """Every edge is a link, and a layer of the output's width."""
    codes = torch.tensor([_LINKS[name] for name in OPERATIONS], dtype=torch.int8)
    operations = codes.to(cells.device)[cells.operations.int()].T
    links = Links.on_paths(operations, torch.ones(3, len(cells), dtype=torch.float64, device=cells.device))
    return links, Layers(links.operations, torch.ones_like(links.operations, dtype=torch.float64))
