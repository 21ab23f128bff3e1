"""Where the real accuracies, images and golden values lie, and skipping without them."""

import os
from pathlib import Path

import pytest

DATA = Path(os.environ.get("ZCFAST_DATA", Path(__file__).parents[2] / "shared" / "data"))


def shared_data(name: str) -> Path:
    """The file, or a skip that says which one is missing."""
    if not (DATA / name).exists():
        pytest.skip(f"needs {name} in ZCFAST_DATA ({DATA})")
    return DATA / name
