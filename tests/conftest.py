import sys
from typing import Any

import pytest
import torch

import zcfast
from zcfast import _native, cli
from zcfast.data.provenance import Provenance
from zcfast.scores import Scores
from zcfast.spaces import SearchSpace

ROWS = 30


@pytest.fixture(params=["nasbench101", "nasbench201"])
def space(request) -> SearchSpace[Any]:
    return zcfast.space(request.param)


@pytest.fixture
def scores(space) -> Scores:
    """The first architectures of a space with rising scores, the first of them -inf, and falling parameters."""
    score = torch.arange(ROWS, dtype=torch.float64) / 7
    score[0] = -torch.inf
    columns = {"expected_synflow": score, "params": 10**7 - torch.arange(ROWS)}
    return Scores(space.name, space.enumerate()[:ROWS], columns, Provenance("0.1.0", options={"stem_channels": 16}))


def devices() -> list[str]:
    """Those that there are here and that the operators were built for."""
    return ["cpu", "cuda"] if torch.cuda.is_available() and _native.has_kernel("saliency_reduce", "cuda") else ["cpu"]


@pytest.fixture(scope="module", params=devices())
def default_device(request):
    """Tensors lie on every device, one after the other."""
    before = torch.get_default_device()
    torch.set_default_device(request.param)
    yield request.param
    torch.set_default_device(before)


@pytest.fixture
def one_thread():
    """The number of threads moves the last digits of what PyTorch computes."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the command line in this process: exit status, standard output, standard error."""

    def run(*arguments: str):
        monkeypatch.setattr(sys, "argv", ["zcfast", *arguments])
        for stream in (sys.stdout, sys.stderr):
            monkeypatch.setattr(type(stream), "reconfigure", lambda self, **_: None, raising=False)
        with pytest.raises(SystemExit) as exit_:
            cli.main()
        captured = capsys.readouterr()
        return exit_.value.code, captured.out, captured.err

    return run
