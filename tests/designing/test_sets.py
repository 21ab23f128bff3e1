"""Sets of proxies as what ranks."""

import pytest
import torch
from torch import nn

import zcfast
from tests.designing.own_space import EXAMPLE, small
from zcfast.proxies.sets import PAPER


def test_a_set_ranks_by_the_scores_that_are_its_members():
    space = zcfast.Space(small, EXAMPLE)
    found = zcfast.design(space, by="paper")
    (stage,) = found.protocol["stages"]
    assert sorted(stage) == sorted(PAPER)
    assert found.rows.tolist() == zcfast.design(space, by=list(PAPER)).rows.tolist()
    again = zcfast.design(space, by=zcfast.designing.Stages("flops", ["paper", "-params"], 4))
    assert sorted(again.protocol["stages"][1]) == sorted([*PAPER, "-params"])


class Functional(nn.Module):
    def __init__(self, calls):
        super().__init__()
        self.layer, self.calls = nn.Conv2d(8, 8, 3, padding=1), calls
        self.weight = nn.Parameter(torch.randn(8, 8, 3, 3) / 9)

    def forward(self, x):
        x = self.layer(x).relu()
        for _ in range(self.calls):
            x = nn.functional.conv2d(x, self.weight, padding=1).relu()
        return x


def functional(trial):
    calls, many = trial.suggest_int("calls", 0, 3), trial.suggest_int("many", 2, 3)
    blocks = nn.Sequential(*(Functional((calls + i) % 4) for i in range(many)))
    return nn.Sequential(nn.Conv2d(3, 8, 3), blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))


def test_a_score_of_sets_is_that_of_score_architectures():
    space = zcfast.Space(functional, EXAMPLE)
    found = zcfast.design(space, by=["az_nas", "flops"])
    expected = zcfast.score_architectures(space, ["az_nas", "multiply_adds"], found.scores.cells)
    assert found.scores["az_nas"].tolist() == expected["az_nas"].tolist()
    assert found.scores["layer_flops"].tolist() == expected["flops"].tolist()
    assert found.scores["flops"].tolist() == expected["multiply_adds"].tolist()
    assert found.scores["flops"].tolist() != expected["flops"].tolist()


def test_a_set_behind_a_minus_is_refused():
    with pytest.raises(ValueError, match="by: expected the name of one score behind a minus, got '-paper', a set"):
        zcfast.design(zcfast.Space(small, EXAMPLE), by="-paper")


@pytest.mark.parametrize(
    ("by", "message"),
    [
        ("snipp", "by: unknown proxy 'snipp': did you mean snip"),
        ([], "by: expected at least one, got none"),
        (["recommended", "params"], "by: expected 'recommended' alone, got it in a list"),
    ],
)
def test_errors_name_the_argument(by, message):
    with pytest.raises(ValueError, match=message):
        zcfast.design(zcfast.Space(small, EXAMPLE), by=by)


def test_on_the_command_line(run, tmp_path):
    out = str(tmp_path / "f.parquet")
    arguments = (
        "--by",
        "paper",
        "--evaluations",
        "2",
        "--images",
        "random",
        "--batch-size",
        "4",
        "--option",
        "modules=1",
    )
    status, printed, error = run("design", "nasbench201", *arguments, "--out", out)
    assert (status, error) == (0, "")
    assert "grad_norm" in printed


def test_scores_that_no_architecture_has_are_left_out():
    space = zcfast.Space(small, EXAMPLE)
    names = ["head_confidence", "params", "hidden_cov", "-jacob_cov"]
    with pytest.warns(zcfast.errors.Notice, match="by: no architecture has head_confidence, hidden_cov: left out"):
        found = zcfast.design(space, by=names)
    assert found.rows.tolist() == zcfast.design(space, by=["params", "-jacob_cov"]).rows.tolist()
    assert (len(found), found.protocol["failed"]) == (8, 0)
    assert all(text.startswith("undefined: no attention") for text in found.scores.reasons["head_confidence"])
    with pytest.warns(zcfast.errors.Notice, match="by: no architecture has head_confidence: left out"):
        again = zcfast.design(space, by=zcfast.designing.Stages("params", ["head_confidence", "-params"], 3))
    assert [len(again), again.protocol["second"]] == [8, 3]
    with pytest.raises(ValueError, match="none of 8 architectures has a score: undefined: no attention"):
        zcfast.design(space, by=["head_confidence", "hidden_cov"])


@pytest.mark.filterwarnings("ignore::zcfast.errors.Notice")
def test_a_sampler_goes_on_without_them():
    pytest.importorskip("optuna")
    found = zcfast.design(
        zcfast.Space(small, EXAMPLE), by=["head_confidence", "params"], evaluations=6, sampler="nsga2"
    )
    assert {trial.state.name for trial in found.study.trials} == {"COMPLETE"}
    assert {trial.values[0] == -float("inf") or trial.values[1] == -float("inf") for trial in found.study.trials} == {
        True
    }


@pytest.mark.filterwarnings("ignore::zcfast.errors.Notice")
@pytest.mark.parametrize("by", ["cheap", "modern", "all"])
def test_sets_rank_convolutions(by):
    found = zcfast.design(zcfast.Space(small, EXAMPLE), by=by)
    assert len(found) == 8
