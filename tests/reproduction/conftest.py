import pytest

from tests.reproduction.shared import write_data
from zcfast.reproduction import figures, tables


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("reproduction") / "data")


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch):
    """Intervals of a whole space take most of the time."""
    for module in (tables, figures):
        monkeypatch.setattr(module, "resamples", lambda rows: 20)
