import sys

import pytest

from reproduction import figures, tables
from reproduction.__main__ import main
from tests.reproduction.shared import write_data


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("reproduction") / "data")


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch):
    """Intervals of a whole space take most of the time."""
    for module in (tables, figures):
        monkeypatch.setattr(module, "resamples", lambda rows: 20)


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the command in this process: exit status, standard output, standard error."""

    def run(*arguments: str):
        monkeypatch.setattr(sys, "argv", ["reproduction", *arguments])
        with pytest.raises(SystemExit) as exit_:
            main()
        out, err = capsys.readouterr()
        failed = isinstance(exit_.value.code, str)  # which Python prints at its end
        return (1, out, err + exit_.value.code + "\n") if failed else (exit_.value.code, out, err)

    return run
