"""The network around a NAS-Bench-201 cell (Dong and Yang 2020, section 2.1), and its size without building it."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from zcfast.nets.layers import BatchNorm, Classifier, Convolution, twin
from zcfast.spaces.nasbench201.cells import AVG_POOL_3X3, CONV_1X1, CONV_3X3, EDGES, NONE, SKIP_CONNECT


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


class ConvolutionBlock(nn.Sequential):
    """ReLU, convolution, BatchNorm; without BatchNorm the convolution of a cell has a bias instead."""

    def __init__(self, ins: int, out: int, kernel: int, batch_norm: bool, stride: int = 1, bias: bool = False) -> None:
        """``bias``: whether the convolution has one where BatchNorm is left out."""
        layers: list[nn.Module] = [nn.ReLU(), Convolution(ins, out, kernel, stride, bias=bias and not batch_norm)]
        super().__init__(*layers, *([BatchNorm(out)] if batch_norm else []))


def _edge(operation: int, channels: int, batch_norm: bool) -> nn.Module:
    if operation == SKIP_CONNECT:
        return nn.Identity()
    if operation == AVG_POOL_3X3:
        return nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
    return ConvolutionBlock(channels, channels, 1 if operation == CONV_1X1 else 3, batch_norm, bias=True)


class Cell(nn.Module):
    """Four nodes, each the sum of the operations on its edges; an edge with ``none`` has no module."""

    def __init__(self, operations: Sequence[int], channels: int, batch_norm: bool) -> None:
        """``operations``: codes of the edges 0->1, 0->2, 1->2, 0->3, 1->3, 2->3."""
        super().__init__()
        self.edges = nn.ModuleDict()
        built: dict[int, nn.Module] = {}
        for (source, target), operation in zip(EDGES, operations, strict=True):
            if operation != NONE:
                edge = twin(built[operation]) if operation in built else _edge(operation, channels, batch_norm)
                built[operation] = self.edges[f"{source}-{target}"] = edge

    def forward(self, x: Tensor) -> Tensor:
        """From [B, channels, H, W] to the same."""
        nodes: list[Tensor | None] = [x]
        for target in range(1, 4):
            total: Tensor | None = None
            for source in range(target):
                value = nodes[source]
                name = f"{source}-{target}"
                # A node without inputs is zero. A convolution of zeros can still give its bias.
                if name not in self.edges:
                    continue
                term = self.edges[name](torch.zeros_like(x) if value is None else value)
                total = term if total is None else total + term
            nodes.append(total)
        output = nodes[-1]
        return torch.zeros_like(x) if output is None else output


class Reduction(nn.Module):
    """The residual block between stages: half the resolution, twice the channels."""

    def __init__(self, ins: int, batch_norm: bool) -> None:
        """``ins``: channels of the input."""
        super().__init__()
        self.first = ConvolutionBlock(ins, 2 * ins, 3, batch_norm, stride=2)
        self.second = ConvolutionBlock(2 * ins, 2 * ins, 3, batch_norm)
        self.residual = nn.Sequential(nn.AvgPool2d(2), Convolution(ins, 2 * ins, 1))

    def forward(self, x: Tensor) -> Tensor:
        """From [B, ins, H, W] to [B, 2 ins, H / 2, W / 2]."""
        result: Tensor = self.residual(x) + self.second(self.first(x))
        return result


class Network(nn.Sequential):
    """The whole network; its forward takes images [B, image_channels, H, W] and returns logits [B, classes]."""

    def __init__(self, operations: Sequence[int], options: NasBench201Network, batch_norm: bool) -> None:
        """The cell as for ``Cell``. The weights are not yet drawn."""
        channels = options.stem_channels
        layers: list[nn.Module] = [Convolution(options.image_channels, channels, 3)]
        layers += [BatchNorm(channels)] if batch_norm else []
        for stage in range(3):
            if stage > 0:
                layers.append(Reduction(channels, batch_norm))
                channels *= 2
            cell = Cell(operations, channels, batch_norm)
            layers += [cell, *(twin(cell) for _ in range(options.modules - 1))]
        layers += [BatchNorm(channels)] if batch_norm else []
        layers += [nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), Classifier(channels, options.classes)]
        super().__init__(*layers)
