"""Pictures in an .npz archive."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from zcfast.errors import printable
from zcfast.images.batch import Pictures
from zcfast.npz import Archive

NAMES_OF_CLASSES = ("classes", "names")
BY_CLASSES = {10: "cifar10", 100: "cifar100", 120: "imagenet16-120"}


def read(path: Path) -> Pictures:
    """All pictures of an archive.

    Arrays: `images` and `labels`, or `x` and `y`, or any number of pairs such as `x_train` and `y_train`, which are
    taken together: pictures uint8 [N, H, W, 3], labels integers [N] from 0. `classes` or `names`, the names of the
    classes, says how many there are. 10, 100 and 120 classes are normalised as CIFAR-10, CIFAR-100 and ImageNet16-120,
    any other and an unknown number as ImageNet.
    """
    with Archive(path) as archive:
        pairs = {name: _labels_of(name) for name in archive.names}
        pairs = {pixels: labels for pixels, labels in pairs.items() if labels in archive.names}
        if not pairs:
            came = printable(", ".join(archive.names))
            raise ValueError(f"expected arrays 'images' and 'labels' or 'x' and 'y', got {came}")
        pixels = [archive.read(name, "u", (None, None, None, 3)) for name in pairs]
        labels = [archive.read(name, "iu", (None,)).astype(np.int64) for name in pairs.values()]
        listed = [name for name in NAMES_OF_CLASSES if name in archive.names]
        classes = len(archive.read(listed[0], "U", (None,))) if listed else None
    for name, (one, its_labels) in zip(pairs, zip(pixels, labels, strict=True), strict=True):
        if one.dtype != np.uint8 or one.shape[1:] != pixels[0].shape[1:]:
            expected = f"uint8 [N, {', '.join(map(str, pixels[0].shape[1:]))}]"
            raise ValueError(f"array {name!r}: expected {expected}, got {one.dtype} {list(one.shape)}")
        if len(one) != len(its_labels):
            raise ValueError(f"array {name!r}: expected a label for each of {len(one)}, got {len(its_labels)}")
    every: npt.NDArray[np.uint8] = np.concatenate(pixels).astype(np.uint8, copy=False)
    return Pictures(every, np.concatenate(labels), classes, BY_CLASSES.get(classes or 0, "imagenet"))


def _labels_of(name: str) -> str:
    """The name that the labels have where `name` holds pictures; no name of an array if it cannot."""
    if "images" in name:
        return name.replace("images", "labels")
    return "y" + name[1:] if name == "x" or name.startswith("x_") else ""
