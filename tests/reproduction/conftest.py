import pytest

from tests.reproduction.shared import write_data


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("reproduction") / "data")
