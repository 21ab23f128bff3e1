"""Paths of the data that is not part of the repository, and one thread for every test."""

import pytest

from tests.shared import DATA


@pytest.fixture(autouse=True)
def _one_thread(one_thread):
    """For every test here."""


@pytest.fixture(scope="session")
def golden_folder():
    """Folder of the golden values; tests that need it are skipped where it is absent."""
    folder = DATA.parent / "golden"
    if not (folder / "golden.json").exists():
        pytest.skip(f"golden values are not at {folder}")
    return folder
