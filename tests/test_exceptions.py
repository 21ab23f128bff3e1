"""Every public exception of the package comes whole out of another process."""

import importlib
import pickle
import pkgutil
from multiprocessing import Process

import pytest
import torch
from torch import nn

import zcfast
from zcfast.data.provenance import Provenance
from zcfast.designing import Design, DesignInterrupted, ExportError
from zcfast.designing.plan import Stage, StageInterrupted
from zcfast.latency import Measured, TooNoisyError
from zcfast.passes.failures import ProxyError
from zcfast.scores import Scores
from zcfast.scoring.architectures import ScoringInterrupted
from zcfast.scoring.execution import WorkerEnded
from zcfast.search import Trajectory
from zcfast.search.loop import SearchFailed, SearchInterrupted

SPACE = zcfast.space("nasbench201")


def scores():
    provenance = Provenance(options={"design": {"considered": 2}})
    return Scores(SPACE, SPACE.enumerate()[:2], {"design": torch.tensor([1.0, 0.5])}, provenance)


def trajectory():
    rows = torch.zeros(1, 2, dtype=torch.int64)
    values = torch.ones(1, 2, dtype=torch.float64)
    return Trajectory(SPACE.name, rows, values, values, Provenance())


MADE = {
    DesignInterrupted: lambda: DesignInterrupted(Design(scores())),
    ExportError: lambda: ExportError("no", nn.Linear(1, 1)),
    ProxyError: lambda: ProxyError("undefined", "no number"),
    ScoringInterrupted: lambda: ScoringInterrupted(scores()),
    SearchFailed: lambda: SearchFailed(trajectory(), RuntimeError("why")),
    SearchInterrupted: lambda: SearchInterrupted(trajectory()),
    StageInterrupted: lambda: StageInterrupted(torch.tensor([1]), Stage({}, {}, {})),
    TooNoisyError: lambda: TooNoisyError(Measured(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 3.0]), {})),
    WorkerEnded: lambda: WorkerEnded(Process(), 3),
}


def exceptions() -> list[type[BaseException]]:
    """Of all modules, those whose names begin with no underscore."""
    found = {}
    for module in pkgutil.walk_packages(zcfast.__path__, "zcfast."):
        if module.name == "zcfast.__main__" or module.name.startswith("zcfast.testing"):
            continue
        try:
            members = vars(importlib.import_module(module.name))
        except ImportError:  # of an extra
            continue
        for each in members.values():
            if isinstance(each, type) and issubclass(each, BaseException) and each.__module__ == module.name:
                found[each.__qualname__] = each
    return [each for name, each in sorted(found.items()) if not name.startswith("_")]


@pytest.mark.parametrize("kind", exceptions(), ids=lambda kind: kind.__name__)
def test_pickled(kind):
    made = MADE[kind]() if kind in MADE else kind("expected this, got that")
    again = pickle.loads(pickle.dumps(made))
    assert type(again) is kind
    assert str(again) == str(made)
    assert vars(again).keys() == vars(made).keys()
    assert pickle.loads(pickle.dumps(again)).args == again.args or kind is DesignInterrupted


def test_what_they_carry_is_there():
    error = pickle.loads(pickle.dumps(MADE[TooNoisyError]()))
    assert error.measured.milliseconds.tolist() == [1, 2]
    assert pickle.loads(pickle.dumps(MADE[ExportError]())).module.in_features == 1
    assert pickle.loads(pickle.dumps(MADE[ScoringInterrupted]())).scores["design"].tolist() == [1, 0.5]
    assert pickle.loads(pickle.dumps(MADE[WorkerEnded]())).place == 3
