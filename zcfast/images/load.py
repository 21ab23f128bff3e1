"""Finds the reader for a file or directory of pictures."""

import dataclasses
import os
from pathlib import Path

from zcfast.files import reading
from zcfast.images import archive, batches
from zcfast.images.batch import ImageBatch

ZIP_MAGIC = b"PK\x03\x04"
FORMATS = "an .npz archive, or a directory of CIFAR-10, CIFAR-100 or ImageNet16 batches"


def load_images(path: str | os.PathLike[str], batch_size: int, seed: int) -> ImageBatch:
    """Draw a minibatch of pictures without repetition and normalise it.

    Args:
        path: an `.npz` archive of uint8 pictures and labels (zcfast/images/archive.py), or a directory of the Python
            batches of CIFAR-10, CIFAR-100 or ImageNet16 (zcfast/images/batches.py). Nothing in them can run code.
        batch_size: B, at most the number of pictures.
        seed: of the draw.

    Returns:
        inputs float32 [B, 3, H, W], with the mean and deviation of the data set; targets int64 [B].

    Raises:
        ValueError: one line that names the path: nothing there, another format, a broken or hostile file, wrong shapes
            or labels, fewer pictures than the batch takes.
    """
    with reading(path, FORMATS):
        batch = _pictures_reader(path)(Path(path)).draw(batch_size, seed)
    return dataclasses.replace(batch, source={"images": Path(path).resolve().name, **batch.source})


def _pictures_reader(path: str | os.PathLike[str]) -> batches.Reader:
    if Path(path).is_dir():
        return batches.read
    with Path(path).open("rb") as file:
        if file.read(4) != ZIP_MAGIC:
            raise ValueError(f"expected {FORMATS}, got another file")
    return archive.read
