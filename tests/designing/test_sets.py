"""Scores of sets of architectures rank in designs."""

import math

import pytest
import torch

import zcfast
from tests.designing.own_space import space
from zcfast.designing import Stages
from zcfast.order import log_rank_sum

IMAGES = zcfast.random_images(4, (3, 8, 8), classes=5, seed=0)
SMALL = {"stem_channels": 4, "modules": 1, "images": IMAGES}
PARTS = ("az_expressivity", "az_progressivity", "az_trainability", "flops")


def of_parts(scores, rows):
    return log_rank_sum([scores[part][rows].double().nan_to_num(-math.inf) for part in PARTS])


def test_one_column_of_the_sum_and_a_minus_turns_it():
    found, turned = (zcfast.design("nasbench201", by=by, evaluations=3, **SMALL) for by in ("az_nas", "-az_nas"))
    everything = torch.arange(len(found))
    torch.testing.assert_close(found.scores["az_nas"], of_parts(found.scores, everything))
    assert (found.scores["az_nas"].diff() <= 0).all()
    assert (turned.scores["az_nas"].diff() >= 0).all()
    assert turned.protocol["stages"] == [["-az_nas"]]
    assert "Lee and Ham" in found.tried.provenance.columns["az_nas"].source


def test_it_is_one_of_several():
    found = zcfast.design("nasbench201", by=["az_nas", "-params"], evaluations=3, **SMALL)
    expected = log_rank_sum([found.scores["az_nas"], -found.scores["params"].double()])
    assert (expected.diff() <= 1e-12).all()
    assert found.protocol["stages"] == [["-params", "az_nas"]]


def test_as_a_second_stage():
    found = zcfast.design("nasbench201", by=Stages("params", "az_nas", keep=3), **SMALL)
    assert (found.scores["az_nas"][:3].diff() <= 0).all()
    assert found.scores["az_nas"][3:].isnan().all()
    torch.testing.assert_close(found.scores["az_nas"][:3], of_parts(found.scores, torch.arange(3)))


def test_what_cannot_be_built_has_a_reason():
    found = zcfast.design(space, by="az_nas", limits={"params": 2e3}, evaluations=40, sampler="random")
    failed = [row for row, why in enumerate(found.tried.reasons["az_nas"]) if "no eight" in why]
    assert failed
    assert found.tried["az_nas"][failed].isnan().all()
    cells = space.parse([{"bias0": True, "depth": 1, "kernel0": 1, "width": width} for width in (4, 8, 16)])
    scores = zcfast.score_architectures(space, ["az_nas"], cells)
    assert scores["az_nas"].isnan().tolist() == [False, True, False]
    assert "no eight" in scores.reasons["az_nas"][1]
    torch.testing.assert_close(scores["az_nas"][[0, 2]], of_parts(scores, [0, 2]))


def test_each_once():
    with pytest.raises(ValueError, match="by: expected each score once, got az_nas, -az_nas"):
        zcfast.design("nasbench201", by=["az_nas", "-az_nas"], **SMALL)
