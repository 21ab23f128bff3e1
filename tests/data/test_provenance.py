"""How numbers were made: in a file and back, and what is no such thing."""

import json

import pytest
import torch

import zcfast
from zcfast import Provenance
from zcfast.data.saved import open_saved, write_saved
from zcfast.scores import Scores
from zcfast.search import Trajectory
from zcfast.spaces import Meaning

WHOLE = Provenance("1", "2", 3, {"snip": Meaning("a", "b", "c")}, {"images": None, "network": {"classes": 10}})
SPACE = zcfast.space("nasbench201")


@pytest.mark.parametrize("made", [Provenance(), WHOLE, Provenance(seed=0, options={"a": ""})])
def test_it_comes_back_from_json(made):
    assert Provenance.of(json.loads(json.dumps(made.as_json()))) == made


def test_it_is_flat():
    assert WHOLE.run() == {"zcfast": "1", "torch": "2", "seed": 3, "images": None, "network": {"classes": 10}}
    assert WHOLE.as_json() == {**WHOLE.run(), "columns": {"snip": {"definition": "a", "unit": "b", "source": "c"}}}
    assert Provenance().as_json() == {}


@pytest.mark.parametrize(
    "values",
    [
        *(None, [], "text", 3, [["zcfast", "1"]]),
        *({"columns": columns} for columns in (None, [1], "text", {"a": 3}, {"a": "text"}, {"a": {"unit": "b"}})),
        {"columns": {"a": {"definition": "a", "unit": "b", "source": 3}}},
        {"columns": {"a": {"definition": "a", "unit": "b", "source": "c", "more": "d"}}},
        *({"seed": "1"}, {"seed": 1.5}, {"zcfast": 1}, {"torch": None}),
    ],
)
def test_another_thing_is_refused(values):
    with pytest.raises(ValueError, match=r"got one with broken metadata: (no|another) provenance"):
        Provenance.of(values)


@pytest.mark.parametrize("values", [None, [], {"columns": {"a": 3}}, {"seed": "1"}])
def test_a_file_with_another_is_refused(values, tmp_path):
    scores = Scores(SPACE, SPACE.enumerate()[:1], {"a": torch.ones(1)})
    header = {"space": "nasbench201", "columns": ["a"], "provenance": values}
    write_saved(tmp_path / "scores", "scores", header, scores.to_arrow())
    with pytest.raises(ValueError, match=r"scores: expected a Parquet file of scores .*, got one with broken metadata"):
        Scores.load(tmp_path / "scores")


def test_others_in_its_place_are_refused():
    cells, row = SPACE.enumerate()[:1], torch.zeros(1, 1)
    with pytest.raises(ValueError, match="provenance: expected Provenance, got dict"):
        Scores(SPACE, cells, {"a": torch.ones(1)}, {})
    with pytest.raises(ValueError, match="provenance: expected Provenance, got dict"):
        Trajectory("nasbench201", row.long(), row, row, {"algorithm": {}})


@pytest.mark.parametrize("kind", ["trajectories", "accuracies"])
def test_kinds_are_told_apart(tmp_path, kind):
    Scores(SPACE, SPACE.enumerate()[:1], {"a": torch.ones(1)}).save(tmp_path / "file")
    expected = f"expected a Parquet file of {kind} saved by zcfast, got one of scores"
    with pytest.raises(ValueError, match=expected), open_saved(tmp_path / "file", kind):
        pass
