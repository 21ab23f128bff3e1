"""The network around a NAS-Bench-101 cell (Ying et al. 2019, section 2), and its size without building it."""

from dataclasses import dataclass

from torch import Tensor

from zcfast import space_ops


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
            raise ValueError(f"stem_channels: expected >= 5, one for each operation of a cell, got {self.stem_channels}")
        if self.stacks > 8:
            raise ValueError(f"stacks: expected 1 to 8, got {self.stacks}")
        if self.resolution % 2**self.stacks:
            raise ValueError(
                f"resolution: expected a multiple of 2^stacks = {2**self.stacks}, so that every stack's images have an "
                f"even size, got {self.resolution}"
            )


def sizes(vertices: Tensor, edges: Tensor, operations: Tensor, network: NasBench101Network) -> tuple[Tensor, Tensor]:
    """Trainable parameters (BatchNorm's scale and shift included) and multiply-adds of one image, int64 [N]."""
    return space_ops.nasbench101_size(
        vertices,
        edges,
        operations,
        network.stem_channels,
        network.stacks,
        network.modules,
        network.classes,
        network.resolution,
        network.image_channels,
    )
