"""Ctrl-C in a design, wherever it comes: one exception with what there is, and the same call goes on."""

import pickle

import pytest
import torch

import zcfast
from tests.designing.own_space import EXAMPLE, small, space
from zcfast.designing import DesignInterrupted, Stages
from zcfast.designing.found import summary
from zcfast.scoring.execution import InProcess
from zcfast.scoring.store import Store

IMAGES = zcfast.random_images(4, (3, 8, 8), classes=5, seed=0)
SMALL = {"stem_channels": 4, "modules": 1, "images": IMAGES}
TWO = Stages("grad_norm", ["jacob_cov", "-grad_norm"], keep=4)
DESIGNS = {
    "own": lambda **given: zcfast.design(
        space, by=["params", "flops"], limits={"params": 2e4}, evaluations=80, **given
    ),
    "own, two stages": lambda **given: zcfast.design(space, by=TWO, evaluations=6, **given),
    "listed": lambda **given: zcfast.design(zcfast.Space(small, EXAMPLE), by=TWO, **given),
    "benchmark": lambda **given: zcfast.design("nasbench201", by=TWO, evaluations=6, **SMALL, **given),
    "formulas, then networks": lambda **given: zcfast.design(
        "nasbench201", by=Stages("params", "jacob_cov", keep=5), limits={"flops": 1e6}, **SMALL, **given
    ),
    "sampler": lambda **given: zcfast.design("nasbench201", by=TWO, sampler="random", evaluations=6, **SMALL, **given),
}


class Counting(InProcess):
    """Counts what is looked at, and is interrupted before a look."""

    def __init__(self, stop=None):
        self.looked, self.stop = 0, stop

    def map(self, task, items):
        for place, item in enumerate(items):
            if self.looked == self.stop:
                raise KeyboardInterrupt
            yield place, task(item)
            self.looked += 1


def text_of(found):
    return str(found.table().to_pydict())


@pytest.mark.parametrize("stop", [0, 1, 5, 7, 9, 70])
@pytest.mark.parametrize("name", DESIGNS)
def test_the_same_call_goes_on_and_nothing_is_looked_at_twice(name, stop, tmp_path):
    whole = Counting()
    expected = DESIGNS[name](executor=whole)
    if stop >= whole.looked:
        pytest.skip("over by then")
    with pytest.raises(DesignInterrupted) as interrupted, Store(tmp_path / "parts") as store:
        DESIGNS[name](executor=Counting(stop), parts=store)
    found = interrupted.value.found
    found.save(tmp_path / "found.parquet")
    assert found.protocol["considered"] >= min(stop, len(found.tried))
    assert summary(found)
    rest = Counting()
    with Store(tmp_path / "parts") as store:
        assert text_of(DESIGNS[name](executor=rest, parts=store)) == text_of(expected)
        store.clear()
    assert rest.looked == whole.looked - stop
    assert not (tmp_path / "parts").exists()


@pytest.mark.parametrize("stop", [0, 3, 64, 70])
def test_what_was_looked_at_is_in_the_design(stop):
    with pytest.raises(DesignInterrupted) as interrupted:
        DESIGNS["own"](executor=Counting(stop))
    found = interrupted.value.found
    whole = DESIGNS["own"]()
    assert len(found.tried) >= min(stop, 60)  # a few of them are equal
    assert set(space.format(found.tried.cells)) <= set(space.format(whole.tried.cells))
    assert str(interrupted.value) == f"{len(found.tried)} architectures were considered"
    if stop:
        assert (found.scores["params"] <= 2e4).all()
        assert found.best.values["params"] == found.scores["params"].max()
        assert summary(found).endswith("ranked by params + flops")
        assert summary(found).startswith("interrupted: ")
        assert not summary(whole).startswith("interrupted")
    else:
        with pytest.raises(ValueError, match="expected a design with a ranked architecture, got one without"):
            _ = found.best
        assert found.top(3) == []
    again = pickle.loads(pickle.dumps(interrupted.value))
    assert text_of(again.found) == text_of(found)


def test_a_second_stage_that_is_not_over_ranks_nothing_and_is_in_the_table():
    with pytest.raises(DesignInterrupted) as interrupted:
        DESIGNS["benchmark"](executor=Counting(8))
    found = interrupted.value.found
    assert (~found.scores["jacob_cov"].isnan()).sum() == 2
    assert found.protocol["second"] == 0
    assert found.best.values["grad_norm"] == found.scores["grad_norm"].max()
    assert "then" not in summary(found)


def test_ctrl_c_where_nothing_is_scored_yet():
    def stop(*_):
        raise KeyboardInterrupt

    for given in ({"progress": stop}, {"limits": {"mine": (stop, 3)}}, {"by": type("Stops", (), {"rank": stop})()}):
        with pytest.raises(DesignInterrupted) as interrupted:
            zcfast.design("nasbench201", **{"by": "expected_synflow", **given})
        assert len(interrupted.value.found.tried) == 0


def test_a_storage_has_what_an_unfinished_batch_has_looked_at(tmp_path):
    given = {"storage": f"sqlite:///{tmp_path / 'study.db'}", "sampler": "random"}
    expected = text_of(DESIGNS["own"](sampler="random"))
    for stop in (70, 5):
        with pytest.raises(DesignInterrupted):
            DESIGNS["own"](**given, executor=Counting(stop))
    whole, rest = Counting(), Counting()
    DESIGNS["own"](sampler="random", executor=whole)
    assert text_of(DESIGNS["own"](**given, executor=rest)) == expected
    assert rest.looked == whole.looked - 75


def test_parts_of_another_run_stay(tmp_path):
    with pytest.raises(DesignInterrupted), Store(tmp_path / "parts") as store:
        DESIGNS["own"](executor=Counting(20), parts=store, seed=1)
    with Store(tmp_path / "parts") as store:
        DESIGNS["own"](parts=store, seed=2)
        store.clear()
    rest = Counting()
    DESIGNS["own"](executor=rest, parts=tmp_path / "parts", seed=1)
    whole = Counting()
    DESIGNS["own"](executor=whole, seed=1)
    assert rest.looked == whole.looked - 20
    assert torch.is_grad_enabled()
