"""The files of accuracies of NAS-Bench-101."""

from collections.abc import Callable
from pathlib import Path

from zcfast.npz import Archive
from zcfast.spaces.capabilities import Readers
from zcfast.spaces.nasbench101 import arrays, tfrecord
from zcfast.spaces.nasbench101.space import NasBench101
from zcfast.tables.table import Table


class Files(Readers):
    """`nasbench_only108.tfrecord`, `nasbench_full.tfrecord` and .npz archives of accuracies."""

    def __init__(self, space: NasBench101) -> None:
        """Take the space."""
        self._space = space

    def reader(self, path: Path) -> Callable[[Path], Table] | None:
        """What reads a release's file."""
        return self._tfrecord if tfrecord.is_tfrecord(path) else None

    def archive(self, archive: Archive) -> Table:
        """See arrays.py."""
        return arrays.read(self._space, archive)

    def _tfrecord(self, path: Path) -> Table:
        return tfrecord.read(self._space, path)
