"""Where the real accuracies and images lie, and skipping without them; what another Python needs."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from zcfast.spaces.nasbench101 import NasBench101Cells

CELL_SPACES = ("nasbench101", "nasbench201")  # spaces of listed cells in networks of images
DATA = Path(os.environ.get("ZCFAST_DATA", Path(__file__).parents[2] / "shared" / "data"))


def shared_data(name: str) -> Path:
    """The file, or a skip that says which one is missing."""
    if not (DATA / name).exists():
        pytest.skip(f"needs {name} in ZCFAST_DATA ({DATA})")
    return DATA / name


def released_nasbench101():
    """The release's cells in the order of their hashes, and its other columns."""
    released = np.load(shared_data("nasbench101/accuracies.npz"))
    columns = released["vertices"].astype(np.int8), released["adj_bits"].astype(np.int32), released["ops"]
    return NasBench101Cells(*map(torch.from_numpy, columns)), released


def environment(**variables: str) -> dict[str, str]:
    """For another Python, which imports what this one can; run it outside of the checkout, which compiles nothing."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **variables}
