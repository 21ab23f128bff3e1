"""Every benchmark is found, and imports what there is: they run by hand, so nobody would see it before."""

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "bench").rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_imports(path):
    pytest.importorskip("pytest_benchmark")  # of the extra bench: its mark would be unknown
    if path.name != "__main__.py":  # which runs
        importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"))


def test_pytest_finds_their_files(pytestconfig):
    found = {path for pattern in pytestconfig.getini("python_files") for path in (ROOT / "bench").glob(pattern)}
    assert found >= {path for path in FILES if "def test_" in path.read_text(encoding="utf-8")}
