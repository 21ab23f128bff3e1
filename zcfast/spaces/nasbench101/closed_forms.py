"""The closed forms of NAS-Bench-101."""

from collections.abc import Iterable, Mapping
from dataclasses import astuple
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from zcfast._native import device_of_kernel
from zcfast.expected.path_statistics import Layers, path_statistics
from zcfast.expected.paths import ABSENT, CONV1X1, CONV3X3, POOL, PROJECTION, Links, slot
from zcfast.expected.precision import in_float64
from zcfast.nets.initialisation import initialisation as named_initialisation
from zcfast.spaces import forms
from zcfast.spaces.capabilities import ClosedForm, ClosedForms
from zcfast.spaces.nasbench101 import ops as ops  # registers the operators' shapes
from zcfast.spaces.nasbench101.cells import MAX_VERTICES, NasBench101Cells
from zcfast.spaces.nasbench101.network import NasBench101Network
from zcfast.spaces.nasbench101.space import NasBench101

_ops = torch.ops.zcfast


class CellForms(ClosedForms):
    """Expected synflow, sizes and path statistics."""

    def __init__(self, space: NasBench101) -> None:
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

    def _expected_synflow(self, cells: NasBench101Cells, network: dict[str, Any], **own: Any) -> Tensor:
        return nasbench101_expected_synflow(cells, self._space.network_with(network), **own)

    def _path_statistics(
        self, cells: NasBench101Cells, network: dict[str, Any], names: Iterable[str]
    ) -> dict[str, Tensor]:
        return path_statistics(*links_and_layers(cells), self._space.params(cells, **network), names)


def nasbench101_expected_synflow(
    cells: NasBench101Cells,
    network: NasBench101Network | None = None,
    initialisation: str = NasBench101.initialisation,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Natural logarithm of expected synflow of NAS-Bench-101 networks, float64 [N].

    The cells must be valid; the vertex order matters slightly (channel splits), so score canonical cells. ``dtype`` is
    that of the computation: float32 is within 1e-5 of float64.
    """
    net, init = network or NasBench101Network(), named_initialisation(initialisation)
    on = cells.to(device_of_kernel("nasbench101_expected_synflow", cells.device))
    scores: Tensor = _ops.nasbench101_expected_synflow(
        on.vertices,
        on.edges,
        on.operations,
        *astuple(net),
        init.scale,
        init.fan_out,
        init.linear_mean,
        in_float64(dtype),
    )
    return scores.to(cells.device)


def links_and_layers(cells: NasBench101Cells) -> tuple[Links, Layers]:
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
    return links, Layers(torch.stack([*inner, *to]), torch.stack([*widths[1:last], *widths[1:]]))


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
