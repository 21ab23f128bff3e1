"""The nets that whole calls are timed on."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from zcfast.spaces import space


class BasicBlock(nn.Module):
    def __init__(self, ins: int, out: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(ins, out, 3, stride, 1, bias=False)
        self.second = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(out), nn.BatchNorm2d(out)])
        self.shortcut = nn.Sequential()
        if stride > 1:
            self.shortcut = nn.Sequential(nn.Conv2d(ins, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        inner = F.relu(self.norms[0](self.first(x)))
        return F.relu(self.norms[1](self.second(inner)) + self.shortcut(x))


def resnet18() -> nn.Module:
    """He et al. 2016, table 1, for 1000 classes."""
    stem = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    blocks: list[nn.Module] = []
    ins = 64
    for out in (64, 128, 256, 512):
        blocks += [BasicBlock(ins, out, 1 if ins == out else 2), BasicBlock(out, out, 1)]
        ins = out
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1000))


@dataclass(frozen=True)
class Subject:
    """A net and its minibatch.

    Attributes:
        group: the space it is of, or "torch".
        architecture: in that space.
        build: draws the net by the seed.
        batch_size, pixels, classes: of the minibatch.
    """

    name: str
    group: str
    architecture: str
    build: Callable[[], nn.Module]
    batch_size: int
    pixels: int = 32
    classes: int = 10

    def minibatch(self) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(0)
        images = torch.randn(self.batch_size, 3, self.pixels, self.pixels, generator=generator)
        return images, torch.randint(self.classes, (self.batch_size,), generator=generator)


def _cell(operation: str) -> str:
    return f"|{operation}~0|+|{operation}~0|{operation}~1|+|{operation}~0|{operation}~1|{operation}~2|"


NASBENCH201 = {
    "all-skip": _cell("skip_connect"),
    "all-avg_pool": _cell("avg_pool_3x3"),
    "all-1x1": _cell("nor_conv_1x1"),
    "mixed": "|nor_conv_3x3~0|+|avg_pool_3x3~0|nor_conv_1x1~1|+|skip_connect~0|none~1|nor_conv_3x3~2|",
    # the highest test accuracy on CIFAR-10
    "best": "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|",
    "all-3x3": _cell("nor_conv_3x3"),
}

NASBENCH101 = {
    "in-out": "output:0",
    # the median of the space's parameters, and the most parameters and multiply-adds
    "median": "conv1x1:0|maxpool3x3:1|conv3x3:1,2|maxpool3x3:3|conv3x3:1,4|output:1,5",
    "heaviest": "conv3x3:0|conv3x3:0,1|conv3x3:0,2|conv3x3:0,3|conv3x3:4|output:5",
}


def _of_space(name: str, architecture: str) -> Callable[[], nn.Module]:
    return lambda: space(name).build(architecture, generator=torch.Generator().manual_seed(0))


SUBJECTS = [
    *(
        Subject(f"NAS-Bench-201 {name}", "nasbench201", cell, _of_space("nasbench201", cell), 64)
        for name, cell in NASBENCH201.items()
    ),
    *(
        Subject(f"NAS-Bench-101 {name}", "nasbench101", cell, _of_space("nasbench101", cell), 8)
        for name, cell in NASBENCH101.items()
    ),
    Subject("ResNet-18, 64 x 64", "torch", "", resnet18, 16, 64, 1000),
]
