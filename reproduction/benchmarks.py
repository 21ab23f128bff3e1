"""The benchmarks of the paper: what is scored and what it is compared with."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """A search space with a data set.

    Attributes:
        name: as in the files.
        title: as it is printed.
        space: of zcfast.
        table: file of accuracies below the data directory.
        accuracy: the metric that is nearest to the paper's.
        others: further metrics, printed beside it.
        images: file of pictures below the data directory.
        network: options of the network that the pictures need.
    """

    name: str
    title: str
    space: str
    table: str
    accuracy: str
    others: tuple[str, ...]
    images: str
    network: Mapping[str, Any]


def _nasbench201(data: str, title: str, images: str, **network: int) -> Benchmark:
    accuracy, *others = f"test_{data}_nb201v1", f"test_{data}", f"valid_{data}"
    if data == "cifar10":
        # The authors' notebook looks up the networks that were trained on half of CIFAR-10's training images. Of these
        # the data has the accuracy on the other half; the test accuracies are those of training on all images.
        accuracy, *others = f"valid_{data}", f"test_{data}_nb201v1", f"test_{data}"
    return Benchmark(
        f"nasbench201-{data}",
        f"NAS-Bench-201 {title}",
        "nasbench201",
        "nasbench201/accuracies.npz",
        accuracy,
        tuple(others),
        f"images/{images}",
        MappingProxyType(network),
    )


NASBENCH201 = (
    _nasbench201("cifar10", "CIFAR-10", "cifar10_1000.npz", classes=10, resolution=32),
    _nasbench201("cifar100", "CIFAR-100", "cifar100_1000.npz", classes=100, resolution=32),
    _nasbench201("imagenet16", "ImageNet16-120", "imagenet16_120_sample.npz", classes=120, resolution=16),
)
NASBENCH101 = Benchmark(
    "nasbench101-cifar10",
    "NAS-Bench-101 CIFAR-10",
    "nasbench101",
    "nasbench101/accuracies.npz",
    "test",
    (),
    "images/cifar10_1000.npz",
    MappingProxyType({"classes": 10, "resolution": 32}),
)
# What the paper has beside these, and why it is not here.
UNAVAILABLE = {
    "NAS-Bench-ASR": "no table of all its architectures' accuracies is public in a form that is read here",
    "NAS-Bench-NLP": "zcfast builds no networks of this benchmark yet, so its cells have no scores; the published logs "
    "that zcfast import reads have losses of a few hundred of its 14,322 cells",
}
SAMPLED = ("grad_norm", "snip", "grasp", "fisher", "synflow", "jacob_cov")  # the paper's order
CLOSED = ("expected_synflow", "params", "flops")
