"""Expected synflow of whole search spaces in closed form; derivation and error in docs/expected.md.

Synflow (Tanaka et al. 2020; Abdelfattah et al. 2021, section 3.2) is the sum of w dR/dw over the weights at their
absolute values, R the sum of the outputs for an input of ones, BatchNorm removed. R is multilinear in the weights of
different layers, so its mean over random initialisations is its value at the weights' mean absolute values, exactly
where there is no max-pool.
"""

from dataclasses import astuple

import torch
from torch import Tensor

from zcfast._native import device_of_kernel
from zcfast.nets.initialisation import initialisation as named_initialisation
from zcfast.networks.nasbench101 import NasBench101Network
from zcfast.networks.nasbench201 import NasBench201Network
from zcfast.spaces.nasbench101 import NasBench101, NasBench101Cells
from zcfast.spaces.nasbench201 import NasBench201, NasBench201Cells

_ops = torch.ops.zcfast


def _double(dtype: torch.dtype) -> bool:
    if dtype not in (torch.float32, torch.float64):
        raise ValueError(f"dtype: expected torch.float32 or torch.float64, got {dtype}")
    return dtype == torch.float64


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
        _double(dtype),
    )
    return scores.to(cells.device)


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
        _double(dtype),
    )
    return scores.to(cells.device)
