"""The network around a NAS-Bench-201 cell (Dong and Yang 2020, section 2.1), and its size without building it."""

from dataclasses import dataclass

import torch
from torch import Tensor

CONV_1X1, CONV_3X3 = 2, 3  # codes of the edges' operations that have weights


@dataclass(frozen=True)
class NasBench201Network:
    """A stem convolution and three stages of ``modules`` cells with a residual block of stride 2 between stages.

    The defaults are the benchmark's for CIFAR-10; CIFAR-100 has 100 classes, ImageNet16-120 has 120 and resolution 16.
    """

    stem_channels: int = 16
    modules: int = 5
    classes: int = 10
    resolution: int = 32
    image_channels: int = 3

    def __post_init__(self) -> None:
        """Refuse networks that the closed forms and the size formulas do not describe."""
        if self.resolution % 4:
            raise ValueError(f"resolution: expected a multiple of 4, got {self.resolution}")


# The benchmark's three data sets, as options of the network.
DATASETS = {
    "cifar10": {"classes": 10, "resolution": 32},
    "cifar100": {"classes": 100, "resolution": 32},
    "imagenet16-120": {"classes": 120, "resolution": 16},
}


def sizes(operations: Tensor, network: NasBench201Network) -> tuple[Tensor, Tensor]:
    """Trainable parameters (BatchNorm's scale and shift included) and multiply-adds of one image, int64 [N]."""
    ones = (operations == CONV_1X1).sum(1, dtype=torch.int64)
    threes = (operations == CONV_3X3).sum(1, dtype=torch.int64)
    channels, pixels = network.stem_channels, network.resolution**2
    params = 9 * network.image_channels * channels + 2 * channels
    flops = 9 * network.image_channels * channels * pixels
    cell_params, cell_flops = torch.zeros_like(ones), torch.zeros_like(ones)
    for stage in range(3):
        if stage > 0:
            channels, pixels = 2 * channels, pixels // 4
            weights = 9 * channels // 2 * channels + 9 * channels * channels + channels // 2 * channels
            params += weights + 4 * channels
            flops += weights * pixels
        weights_of_cell = (ones + 9 * threes) * channels**2
        cell_params += network.modules * (weights_of_cell + 2 * channels * (ones + threes))
        cell_flops += network.modules * weights_of_cell * pixels
    params += 2 * channels + (channels + 1) * network.classes
    flops += channels * network.classes
    return cell_params + params, cell_flops + flops
