"""What samplers are told means the same in every batch."""

import optuna
import pytest
import torch

import zcfast
from tests.designing.own_space import EXAMPLE, small, space
from zcfast import search

LIMIT = {"flops": 60e6}


@pytest.fixture(scope="module")
def listed():
    return zcfast.space("nasbench201")


def within(listed):
    return (listed.flops(listed.enumerate()) <= LIMIT["flops"]).nonzero()[:, 0]


def told(found, listed):
    """The value that the study has of each row."""
    trials = [trial for trial in found.study.trials if trial.values[0] > -float("inf")]
    rows = listed.index(listed.parse([trial.user_attrs["architecture"] for trial in trials]))
    return rows, torch.tensor([trial.values[0] for trial in trials], dtype=torch.float64)


@pytest.mark.parametrize("sampler", ["random", "nsga2"])
def test_ranks_are_those_among_all_rows_within_the_limits(listed, sampler):
    found = zcfast.design(listed, limits=LIMIT, evaluations=150, sampler=sampler)
    allowed = within(listed)
    column = zcfast.score_space(listed, ["path_rank"], cells=listed.enumerate()[allowed])["path_rank"]
    expected = dict(zip(allowed.tolist(), column.tolist(), strict=True))
    rows, values = told(found, listed)
    assert len(rows) > 64
    assert values.tolist() == [expected[row] for row in rows.tolist()]
    assert found.scores["path_rank"].tolist() == [expected[row] for row in found.rows.tolist()]
    assert (found.scores["path_rank"].diff() <= 0).all()


def test_predictors_too(listed):
    chosen = torch.arange(0, 15_000, 600)
    predictor = search.predictor(listed, chosen, listed.params(listed.enumerate()[chosen]).double())
    found = zcfast.design(listed, by=predictor, limits=LIMIT, evaluations=100, sampler="random")
    allowed = within(listed)
    ranked = predictor.rank(listed, listed.enumerate()[allowed])
    expected = dict(zip(allowed.tolist(), ranked.tolist(), strict=True))
    rows, values = told(found, listed)
    assert values.tolist() == [expected[row] for row in rows.tolist()]


class Relative:
    def rank(self, space, cells):
        return torch.arange(len(cells)).double() / len(cells)


class Alone:
    def rank(self, space, cells):
        return [float(len(text)) for text in space.format(cells)]


def test_own_spaces_are_told_what_depends_on_one_architecture():
    with pytest.raises(ValueError, match="by: expected Relative to give one number whichever"):
        zcfast.design(space, by=Relative(), evaluations=20)
    found = zcfast.design(space, by=Alone(), evaluations=20)
    assert {trial.values[0] for trial in found.study.trials} >= set(found.scores["rank"].tolist())
    assert len(zcfast.design(zcfast.Space(small, EXAMPLE), by=Relative())) == 8  # nobody is told


def test_several_scores_are_as_many_objectives():
    found = zcfast.design(space, by=["flops", "-params"], minimise=["params"], evaluations=20, sampler="random")
    trial = next(trial for trial in found.study.trials if trial.state.name == "COMPLETE")
    row = space.format(found.tried.cells).index(trial.user_attrs["architecture"])
    assert trial.values == [found.tried["flops"][row], -found.tried["params"][row]]


def test_a_score_of_sets_is_told_by_its_parts():
    for by, sign in (("az_nas", 1), ("-az_nas", -1)):
        found = zcfast.design(space, by=by, evaluations=3, sampler="random")
        assert found.protocol["stages"] == [[by]]
        trial = next(trial for trial in found.study.trials if trial.state == optuna.trial.TrialState.COMPLETE)
        row = space.format(found.tried.cells).index(trial.user_attrs["architecture"])
        assert len(trial.values) == 4
        assert sign * found.tried["flops"][row] in trial.values
        assert (sign * found.scores["az_nas"].diff() <= 0).all()
        flops = found.scores["flops"].double()
        others = [found.scores[f"az_{part}"] for part in ("expressivity", "progressivity", "trainability")]
        assert found.scores["az_nas"].tolist() == zcfast.analysis.az_nas(*others, flops).tolist()


@pytest.mark.parametrize(
    ("by", "minimise", "column"),
    [
        ("az_nas", ["flops"], "flops"),
        (["az_nas", "-az_expressivity"], [], "az_expressivity"),
        ("flops", ["flops"], "flops"),
    ],
)
def test_what_is_wanted_large_and_small_is_told_both_ways(by, minimise, column):
    found = zcfast.design(space, by=by, minimise=minimise, evaluations=3, sampler="random")
    trial = next(trial for trial in found.study.trials if trial.state == optuna.trial.TrialState.COMPLETE)
    row = space.format(found.tried.cells).index(trial.user_attrs["architecture"])
    value = found.tried[column][row].item()
    assert len(trial.values) == (2 if by == "flops" else 5)
    assert {value, -value} <= set(trial.values)
    large = "layer_flops" if (by, column) == ("az_nas", "flops") else column
    assert {large, f"-{column}"} <= set(found.study.metric_names)


def test_considered_is_what_was_looked_at(listed):
    whole = zcfast.design(listed, by="params", limits=LIMIT)
    assert (whole.protocol["considered"], whole.protocol["within"]) == (15_625, len(within(listed)))
    drawn = zcfast.design(listed, by="params", limits=LIMIT, evaluations=100)
    assert (drawn.protocol["considered"], drawn.protocol["within"], len(drawn)) == (100, 100, 100)
