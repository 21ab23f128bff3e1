"""The files of accuracies of NAS-Bench-201 and NATS-Bench."""

from collections.abc import Callable
from pathlib import Path

from zcfast.npz import Archive
from zcfast.spaces.capabilities import Readers
from zcfast.spaces.nasbench201 import arrays, natsbench
from zcfast.spaces.nasbench201.space import NasBench201
from zcfast.tables import pickles
from zcfast.tables.table import Table


class Files(Readers):
    """The single `.pth` or `.pickle.pbz2`, the directory of a file an architecture, and .npz archives of accuracies."""

    def __init__(self, space: NasBench201) -> None:
        """Take the space."""
        self._space = space

    def reader(self, path: Path) -> Callable[[Path], Table] | None:
        """What reads a release's file or directory."""
        return self._pickles if path.is_dir() or pickles.is_pickle(path) else None

    def archive(self, archive: Archive) -> Table:
        """See arrays.py."""
        return arrays.read(self._space, archive)

    def _pickles(self, path: Path) -> Table:
        return natsbench.read(self._space, path)
