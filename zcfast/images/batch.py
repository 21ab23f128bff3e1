"""What a reader gives and what a proxy takes: pictures, and a normalised minibatch of them."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from zcfast.errors import integer
from zcfast.nets.inputs import Inputs, named_tensors, sample_count, sample_shape, tensors_of

# Mean and standard deviation of red, green and blue on the scale 0 to 255, as the data sets are usually normalised:
# CIFAR and ImageNet16 by NAS-Bench-201 (Dong and Yang, ICLR 2020), ImageNet by torchvision.
NORMALISATIONS = {
    "cifar10": ((125.3, 123.0, 113.9), (63.0, 62.1, 66.7)),
    "cifar100": ((129.3, 124.1, 112.4), (68.2, 65.4, 70.4)),
    "imagenet16-120": ((122.68, 116.66, 104.01), (63.22, 61.26, 65.09)),
    "imagenet": ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
}

_LARGEST_SEED = 2**64 - 1  # of torch's generators


@dataclass(frozen=True, eq=False)
class ImageBatch:
    """A minibatch; ``inputs, targets = batch`` unpacks it.

    Attributes:
        inputs: float32 [B, channels, H, W], normalised; noise may have any shape, and what a user gives may be anything
            that a net is called with.
        targets: int64 [B], from 0.
        classes: how many classes the targets come from; None where the source does not say.
        source: where they come from and how they were drawn and normalised, as JSON values.
    """

    inputs: Inputs
    targets: Tensor
    classes: int | None
    source: dict[str, Any]

    def __iter__(self) -> Iterator[Any]:
        """Inputs, then targets."""
        return iter((self.inputs, self.targets))

    def __repr__(self) -> str:
        """Shapes, not values."""
        sizes = {name: list(each.shape) for name, each in named_tensors(self.inputs).items()}
        shapes = ", ".join(f"{name}={shape}" for name, shape in {**sizes, "targets": list(self.targets.shape)}.items())
        return f"ImageBatch({shapes}, classes={self.classes})"

    def protocol(self) -> dict[str, Any]:
        """The source with the batch's size, shape and checksum: equal for equal minibatches."""
        digest = hashlib.sha256()
        for each in (*tensors_of(self.inputs), self.targets):
            digest.update(each.cpu().contiguous().flatten().view(torch.uint8).numpy().data)
        sizes = {"batch_size": sample_count(self.inputs), "shape": sample_shape(self.inputs)}
        return {**self.source, **sizes, "sha256": digest.hexdigest()}


@dataclass(frozen=True, eq=False)
class Pictures:
    """All pictures of a file or directory.

    Attributes:
        pixels: uint8 [N, H, W, 3].
        labels: int64 [N], from 0.
        classes: how many there are, where the files say it.
        normalisation: a name in NORMALISATIONS.
    """

    pixels: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    classes: int | None
    normalisation: str

    def __post_init__(self) -> None:
        """Check that the labels belong to the pictures, and that there is something to see."""
        if 0 in self.pixels.shape[1:]:
            raise ValueError(f"expected pictures, got some of {self.pixels.shape[1]} x {self.pixels.shape[2]} pixels")
        if len(self.labels) != len(self.pixels):
            raise ValueError(
                f"expected one label a picture, got {len(self.pixels)} pictures, {len(self.labels)} labels"
            )
        highest = None if self.classes is None else self.classes - 1
        if len(self.labels) and (self.labels.min() < 0 or (highest is not None and self.labels.max() > highest)):
            expected = "from 0 up" if highest is None else f"from 0 to {highest}"
            raise ValueError(f"expected labels {expected}, got {self.labels.min()} to {self.labels.max()}")

    def draw(self, batch_size: int, seed: int) -> ImageBatch:
        """A minibatch without repetition; its order is that of the draw."""
        if integer("batch size", batch_size) < 1:
            raise ValueError(f"batch size: expected 1 or more, got {batch_size}")
        if batch_size > len(self.pixels):
            raise ValueError(
                f"expected at least {batch_size} pictures, one for each of the batch, got {len(self.pixels)}"
            )
        rows = torch.randperm(len(self.pixels), generator=_generator(seed))[:batch_size].numpy()
        mean, deviation = (torch.tensor(part) for part in NORMALISATIONS[self.normalisation])
        pixels = torch.from_numpy(self.pixels[rows]).float()
        inputs = ((pixels - mean) / deviation).permute(0, 3, 1, 2).contiguous()
        source = {
            "normalisation": self.normalisation,
            "mean": NORMALISATIONS[self.normalisation][0],
            "standard_deviation": NORMALISATIONS[self.normalisation][1],
            "drawn_from": len(self.pixels),
            "seed": seed,
        }
        # JSON has lists, not tuples: what is saved compares equal to what is loaded.
        source = {name: list(value) if isinstance(value, tuple) else value for name, value in source.items()}
        return ImageBatch(inputs, torch.from_numpy(self.labels[rows]), self.classes, source)


def random_images(batch_size: int, shape: tuple[int, ...], classes: int, seed: int) -> ImageBatch:
    """Noise in place of pictures: standard-normal inputs [B, *shape] and uniform targets of ``classes``."""
    for name, values in (("batch size", [batch_size]), ("classes", [classes]), ("shape", shape or [0])):
        if min(integer(name, value) for value in values) < 1:
            raise ValueError(f"{name}: expected 1 or more, got {min(values)}")
    generator = _generator(seed)
    inputs = torch.randn(batch_size, *shape, generator=generator)
    targets = torch.randint(classes, (batch_size,), generator=generator)
    source = {"images": "random", "normalisation": "standard normal", "seed": seed}
    return ImageBatch(inputs, targets, classes, source)


def _generator(seed: int) -> torch.Generator:
    if not 0 <= integer("seed", seed) <= _LARGEST_SEED:
        raise ValueError(f"seed: expected a number from 0 to 2^64 - 1, got {seed}")
    return torch.Generator().manual_seed(seed)
