"""Minibatches of pictures: one reader a file format, or standard-normal noise."""

from zcfast.images.batch import ImageBatch, random_images
from zcfast.images.load import load_images

__all__ = ["ImageBatch", "load_images", "random_images"]
