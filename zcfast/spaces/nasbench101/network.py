"""The network around a NAS-Bench-101 cell (Ying et al. 2019, section 2), and its size without building it."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass

import torch
from torch import Tensor, nn

from zcfast.nets.layers import BatchNorm, Classifier, Convolution, twin
from zcfast.spaces.nasbench101 import ops
from zcfast.spaces.nasbench101.cells import CONV_3X3, MAXPOOL_3X3


@dataclass(frozen=True)
class NasBench101Network:
    """A stem convolution, ``stacks`` of ``modules`` cells, max-pooling and twice the channels between stacks.

    The defaults are the benchmark's own.
    """

    stem_channels: int = 128
    stacks: int = 3
    modules: int = 3
    classes: int = 10
    resolution: int = 32
    image_channels: int = 3

    def __post_init__(self) -> None:
        """Refuse networks that the closed forms and the size formulas do not describe."""
        if self.stem_channels < 5:
            raise ValueError(
                f"stem_channels: expected >= 5, one for each operation of a cell, got {self.stem_channels}"
            )
        if self.resolution % 2**self.stacks:
            raise ValueError(
                f"resolution: expected a multiple of 2^stacks = {2**self.stacks}, so that every stack's images have an "
                f"even size, got {self.resolution}"
            )


def sizes(vertices: Tensor, edges: Tensor, operations: Tensor, network: NasBench101Network) -> tuple[Tensor, Tensor]:
    """Trainable parameters (BatchNorm's scale and shift included) and multiply-adds of one image, int64 [N]."""
    return ops.nasbench101_size(vertices, edges, operations, *astuple(network))


class ConvolutionBlock(nn.Sequential):
    """Convolution, BatchNorm, ReLU; without BatchNorm just the outer two."""

    def __init__(self, inputs: int, outputs: int, kernel: int, batch_norm: bool) -> None:
        """Without bias either way, as in the benchmark."""
        norm = [BatchNorm(outputs)] if batch_norm else []
        super().__init__(Convolution(inputs, outputs, kernel), *norm, nn.ReLU(inplace=True))


class Cell(nn.Module):
    """One module: every vertex sums its sources, projected or cut to its channels, and applies its operation."""

    def __init__(self, sources: Sequence[Sequence[int]], operations: Sequence[int], ins: int, out: int, norm: bool):
        """``sources`` of the vertices 1 .. n - 1, ``operations`` of the inner ones, ``ins`` and ``out`` channels."""
        super().__init__()
        self.sources = sources
        self.channels = _vertex_channels(sources, out)
        self.projections, self.operations = nn.ModuleDict(), nn.ModuleDict()
        for vertex, from_ in enumerate(sources, 1):
            channels = self.channels[vertex]
            if 0 in from_:
                self.projections[str(vertex)] = ConvolutionBlock(ins, channels, 1, norm)
            if vertex == len(sources):
                continue
            if operations[vertex - 1] == MAXPOOL_3X3:
                self.operations[str(vertex)] = nn.MaxPool2d(3, stride=1, padding=1)
            else:
                kernel = 3 if operations[vertex - 1] == CONV_3X3 else 1
                self.operations[str(vertex)] = ConvolutionBlock(channels, channels, kernel, norm)

    def forward(self, x: Tensor) -> Tensor:
        """From [B, ins, H, W] to [B, out, H, W]."""
        output = len(self.sources)
        vertices: dict[int, Tensor] = {}
        for vertex in range(1, output):
            parts = [vertices[u][:, : self.channels[vertex]] for u in self.sources[vertex - 1] if u > 0]
            if str(vertex) in self.projections:
                parts.append(self.projections[str(vertex)](x))
            vertices[vertex] = self.operations[str(vertex)](sum(parts[1:], parts[0]))
        inner = [vertices[u] for u in self.sources[-1] if u > 0]
        if str(output) not in self.projections:
            return torch.cat(inner, 1)
        projected: Tensor = self.projections[str(output)](x)
        return projected + torch.cat(inner, 1) if inner else projected


class Network(nn.Sequential):
    """The whole network; its forward takes images [B, image_channels, H, W] and returns logits [B, classes]."""

    def __init__(
        self, sources: Sequence[Sequence[int]], operations: Sequence[int], options: NasBench101Network, batch_norm: bool
    ) -> None:
        """The cell as for ``Cell``. The weights are not yet drawn."""
        channels = options.stem_channels
        layers: list[nn.Module] = [ConvolutionBlock(options.image_channels, channels, 3, batch_norm)]
        for stack in range(options.stacks):
            ins = channels
            if stack > 0:
                layers.append(nn.MaxPool2d(2))
                channels *= 2
            layers.append(Cell(sources, operations, ins, channels, batch_norm))
            if options.modules > 1:
                cell = Cell(sources, operations, channels, channels, batch_norm)
                layers += [cell, *(twin(cell) for _ in range(options.modules - 2))]
        pool = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), Classifier(channels, options.classes)]
        super().__init__(*layers, *pool)


def _vertex_channels(sources: Sequence[Sequence[int]], out: int) -> list[int]:
    """Channels of every vertex, as csrc/cell.h has them; the input's entry is 0."""
    output = len(sources)
    channels = [0] * output + [out]
    feeding = [u for u in sources[-1] if u > 0]
    for position, u in enumerate(feeding):
        channels[u] = out // len(feeding) + (position < out % len(feeding))
    for u in range(output - 1, 0, -1):
        if u not in feeding:
            channels[u] = max(channels[v] for v in range(u + 1, output) if u in sources[v - 1])
    return channels
