"""Networks of TransNAS-Bench-101's macro space, and its micro cells as those of NAS-Bench-201."""

import torch
from torch import Tensor, nn

import zcfast
from tests.shared import DATA

TASKS = ("class_scene", "class_object")
OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3")  # of the micro space's cells
PICTURE = 64  # pixels, of the benchmark's 256


class Basic(nn.Module):
    """A residual block of two convolutions."""

    def __init__(self, ins: int, out: int, stride: int):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(ins, out, 3, stride, 1, bias=False),
            nn.BatchNorm2d(out),
            nn.ReLU(),
            nn.Conv2d(out, out, 3, 1, 1, bias=False),
            nn.BatchNorm2d(out),
        )
        short = nn.Sequential(nn.Conv2d(ins, out, 1, stride, bias=False), nn.BatchNorm2d(out))
        self.short = nn.Identity() if ins == out and stride == 1 else short

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.short(x) + self.body(x))


def network(name: str, classes: int) -> nn.Module:
    """64-2311-basic: 64 channels, four modules of two blocks; 2 and 4 double the channels, 3 and 4 halve the pixels."""
    width, codes = int(name.split("-")[0]), name.split("-")[1]
    layers: list[nn.Module] = [
        nn.Conv2d(3, width // 2, 3, 2, 1, bias=False),
        nn.BatchNorm2d(width // 2),
        nn.ReLU(),
        nn.Conv2d(width // 2, width, 3, 2, 1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
    ]
    for code in codes:
        out, stride = width * (2 if code in "24" else 1), 2 if code in "34" else 1
        layers += [Basic(width, out, stride), Basic(out, out, 1)]
        width = out
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes))


def macro() -> tuple[zcfast.spaces.SearchSpace, dict[str, Tensor]]:
    """The space, with pictures of ImageNet, and what its networks reached by task."""
    table = zcfast.table("transnas_macro", DATA / "transnas")
    pictures = zcfast.load_images(DATA / "images/imagenet224_sample64.npz", 32, seed=0)
    classes = int(pictures.targets.max()) + 1
    inputs = nn.functional.interpolate(pictures.inputs, PICTURE, mode="area")
    makers = {name: lambda name=name: network(name, classes) for name in table.names}
    space = zcfast.spaces.of(makers, example=(inputs, pictures.targets), name="transnas_macro")
    return space, {task: table[task] for task in TASKS}


def micro() -> tuple[Tensor, dict[str, Tensor]]:
    """Rows of NAS-Bench-201 with the same cells, and what these reached by task."""
    table, space = zcfast.table("transnas_micro", DATA / "transnas"), zcfast.space("nasbench201")
    edges = [[OPERATIONS[int(each)] for each in name.split("-")[2].replace("_", "")] for name in table.names]
    rows = space.index(space.parse(["|{}~0|+|{}~0|{}~1|+|{}~0|{}~1|{}~2|".format(*each) for each in edges]))
    return rows, {task: table[task] for task in TASKS}
