"""The Python batches of CIFAR-10, CIFAR-100 (Krizhevsky 2009) and ImageNet16 (Chrabaszcz et al. 2017)."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zcfast.images.batch import Pictures
from zcfast.images.unpickle import unpickle

Reader = Callable[[Path], Pictures]


@dataclass(frozen=True)
class _Layout:
    """How a data set lies in its directory: file names, side of a picture, key, base and number of its labels."""

    normalisation: str
    files: str
    size: int
    labels: str
    first_label: int
    classes: int


# ImageNet16-120 is the first 120 classes of ImageNet16, whose labels start from 1 (Dong and Yang, ICLR 2020).
_LAYOUTS = (
    _Layout("imagenet16-120", "train_data_batch_*", 16, "labels", 1, 120),
    _Layout("cifar10", "data_batch_*", 32, "labels", 0, 10),
    _Layout("cifar100", "train", 32, "fine_labels", 0, 100),
)


def read(directory: Path) -> Pictures:
    """The training pictures of a data set's directory, as it unpacks from its archive.

    CIFAR-10: `data_batch_1` to `data_batch_5`. CIFAR-100: `train`, with its fine labels. ImageNet16:
    `train_data_batch_1` to `train_data_batch_10`, of which the classes of ImageNet16-120 are kept.
    """
    for layout in _LAYOUTS:
        paths = sorted(path for path in directory.glob(layout.files) if path.is_file())
        if paths:
            parts = [_read_one(path, layout) for path in paths]
            pixels, labels = (np.concatenate(part) for part in zip(*parts, strict=True))
            return Pictures(pixels, labels, layout.classes, layout.normalisation)
    names = ", ".join(layout.files.replace("*", "1") for layout in reversed(_LAYOUTS))
    raise ValueError(f"expected a directory with one of {names}, got one without")


def _read_one(path: Path, layout: _Layout) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    try:
        batch = unpickle(path)
        fields = {key.decode("latin1") if isinstance(key, bytes) else key: value for key, value in batch.items()}
        labels = _labels(fields.get(layout.labels), layout.labels)
        pixels = _pixels(fields.get("data"), layout.size)
        if len(labels) != len(pixels):
            raise ValueError(f"expected one label a picture, got {len(pixels)} pictures and {len(labels)} labels")
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from error
    if layout.normalisation == "imagenet16-120":
        kept = (labels >= layout.first_label) & (labels < layout.first_label + layout.classes)
        pixels, labels = pixels[kept], labels[kept]
    return pixels, labels - layout.first_label


def _pixels(data: Any, size: int) -> npt.NDArray[np.uint8]:
    """Pictures [N, H, W, 3] from rows [N, 3 * H * W]."""
    expected = f"'data': expected uint8 [N, {3 * size * size}]"
    if not isinstance(data, np.ndarray):
        raise ValueError(f"{expected}, got {'nothing' if data is None else type(data).__name__}")
    if data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != 3 * size * size:
        raise ValueError(f"{expected}, got {data.dtype} {list(data.shape)}")
    pixels: npt.NDArray[np.uint8] = data.reshape(-1, 3, size, size).transpose(0, 2, 3, 1)
    return pixels


def _labels(labels: Any, name: str) -> npt.NDArray[np.int64]:
    """Labels [N] from a list or an array."""
    if isinstance(labels, list) and all(type(label) is int for label in labels):
        try:
            return np.array(labels, dtype=np.int64)
        except OverflowError as error:
            raise ValueError(f"{name!r}: expected small integers, got larger ones") from error
    if isinstance(labels, np.ndarray) and labels.dtype.kind in "iu" and labels.ndim == 1:
        return labels.astype(np.int64)
    raise ValueError(f"{name!r}: expected a list of integers, got {'nothing' if labels is None else 'another value'}")
