"""Designs on benchmark spaces, whose rows are all considered at once."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata

import zcfast
from zcfast.designing import Design, Stages, summary
from zcfast.errors import Notice
from zcfast.order import average_ranks

SMALL = {"stem_channels": 4, "modules": 1}


@pytest.fixture(scope="module")
def space():
    return zcfast.space("nasbench201")


@pytest.fixture(scope="module")
def images():
    return zcfast.random_images(8, (3, 16, 16), classes=10, seed=0)


@settings(max_examples=20, deadline=None)
@given(share=st.floats(0.01, 1), seed=st.integers(0, 2**32))
def test_limits_are_never_exceeded_and_the_best_is_within(share, seed):
    space = zcfast.space("nasbench201")
    flops = space.flops(space.enumerate())
    limit = float(flops.double().quantile(share))
    found = zcfast.design(space, by="params", limits={"flops": limit, "params": 1e6}, seed=seed)
    allowed = (flops <= limit) & (space.params(space.enumerate()) <= 1e6)
    assert sorted(found.rows.tolist()) == allowed.nonzero().flatten().tolist()
    assert found.best.values["params"] == space.params(space.enumerate())[allowed].max()
    assert (found.scores["params"].diff() <= 0).all()
    assert (found.scores["design"].diff() < 0).all()
    assert found.scores["design"][0] == 1


def test_ranks_within_the_limit_alone(space):
    cells = space.enumerate()
    rows = (space.flops(cells) <= 60e6).nonzero().flatten()
    found = zcfast.design(space, limits={"flops": 60e6})
    expected = zcfast.score_space(space, ["path_rank"], cells=cells[rows])["path_rank"]
    assert found.best.values["path_rank"] == expected.max()
    order = {row: place for place, row in enumerate(rows.tolist())}
    assert found.scores["path_rank"].tolist() == expected[[order[row] for row in found.rows.tolist()]].tolist()
    assert found.protocol["stages"] == [["path_rank"]]


def test_several_scores_are_summed_by_the_logarithms_of_their_ranks(space):
    found = zcfast.design(space, by=["params", "-flops", "expected_synflow"])
    scores = zcfast.score_space(space, ["params", "flops", "expected_synflow"])
    columns = scores["params"], -scores["flops"], scores["expected_synflow"]
    expected = sum(np.log(rankdata(column.numpy())) for column in columns)
    assert (np.diff(expected[found.rows.numpy()]) <= 1e-9).all()
    assert found.protocol["stages"] == [["params", "-flops", "expected_synflow"]]


def test_equal_ranks_are_drawn_by_the_seed(space):
    first, again, other = (zcfast.design(space, by="params", seed=seed) for seed in (0, 0, 1))
    assert first.rows.equal(again.rows)
    assert not first.rows.equal(other.rows)
    assert first.scores["params"].equal(other.scores["params"])


def test_any_column_and_any_function_is_a_limit(space):
    latency = torch.rand(len(space), generator=torch.Generator().manual_seed(0)) + 1
    latency[:100] = torch.nan
    for source in (latency, latency.numpy(), lambda space, cells: latency[space.index(cells)].tolist()):
        found = zcfast.design(space, by="params", limits={"latency": (source, 1.2)})
        assert sorted(found.rows.tolist()) == (latency <= 1.2).nonzero().flatten().tolist()
        assert found.best.values["latency"] <= 1.2
    assert found.protocol["limits"] == {"latency": 1.2}


def test_a_second_stage_ranks_the_best_anew(space, images):
    by = Stages("params", ["jacob_cov", "-grad_norm"], keep=6)
    found = zcfast.design(space, by=by, limits={"flops": 2e6}, images=images, **SMALL)
    one = zcfast.design(space, by="params", limits={"flops": 2e6}, **SMALL, resolution=16)
    assert set(found.rows[:6].tolist()) == set(one.rows[:6].tolist())
    assert found.rows[6:].equal(one.rows[6:])
    scores = zcfast.score_architectures(
        space, ["jacob_cov", "grad_norm"], space.enumerate()[found.rows[:6]], images, **SMALL
    )
    assert found.scores["jacob_cov"][:6].equal(scores["jacob_cov"])
    expected = sum(np.log(rankdata(column.numpy())) for column in (scores["jacob_cov"], -scores["grad_norm"]))
    assert (np.diff(expected) <= 0).all()
    assert found.scores["jacob_cov"][6:].isnan().all()
    assert found.tried.reasons["jacob_cov"][6] == "not among the best of the first stage"
    net = found.best.build()
    assert net(images.inputs).shape == (8, 10)
    assert sum(p.numel() for p in net.parameters()) == found.best.values["params"]


def test_recommended_takes_a_second_stage_where_there_is_a_minibatch(space, images):
    found = zcfast.design(space, limits={"flops": 1e6}, images=images, **SMALL)
    assert found.protocol["stages"] == [["path_rank"], ["jacob_cov", "-grad_norm"]]


def test_sampled_proxies_take_as_many_as_they_are_told(space, images):
    found = zcfast.design(space, by="grad_norm", evaluations=5, images=images, limits={"flops": 1e6}, **SMALL)
    assert len(found) == 5
    assert found.best.values["grad_norm"] == found.scores["grad_norm"].max()
    assert (found.scores["flops"] <= 1e6).all()


class Fewest:
    def rank(self, space, cells):
        return [-number for number in space.params(cells).tolist()]


def test_an_object_of_the_users_own_ranks(space):
    found = zcfast.design(space, by=Fewest(), limits={"flops": 1e8})
    assert found.best.values["params"] == space.params(space.enumerate()).min()
    with pytest.raises(ValueError, match="by: expected rank to give 15625 numbers, one an architecture, got 2"):
        zcfast.design(space, by=type("Two", (), {"rank": lambda self, space, cells: [1, 2]})())


def test_a_design_of_a_large_space_has_no_rows_over_a_limit(tmp_path):
    space = zcfast.space("nasbench101")
    flops = space.flops(space.enumerate())
    limit = float(flops.double().quantile(0.02))
    found = zcfast.design(space, by="params", limits={"flops": limit})
    within = (flops <= limit).nonzero().flatten()
    assert sorted(found.tried.keys().tolist()) == within.tolist()
    assert (found.protocol["considered"], found.protocol["within"]) == (len(space), len(within))
    found.save(tmp_path / "found.parquet")
    assert summary(Design.load(tmp_path / "found.parquet")).startswith(f"{len(space):,} architectures of ")
    assert not found.tried.reasons


def test_the_pareto_front(space):
    found = zcfast.design(space, by="expected_synflow")
    front = found.pareto("params")
    assert front[0].architecture == found.best.architecture
    costs = [each.values["params"] for each in front]
    assert costs == sorted(costs, reverse=True)
    assert costs[-1] == found.scores["params"].min()
    with pytest.raises(ValueError, match="unknown column 'flop': did you mean flops"):
        found.pareto("flop")


def test_a_design_is_a_file_of_scores(space, tmp_path):
    found = zcfast.design(space, limits={"flops": 60e6})
    found.save(tmp_path / "found.parquet")
    again = Design.load(tmp_path / "found.parquet")
    assert again.rows.equal(found.rows)
    assert again.best.values == found.best.values
    assert again.protocol == found.protocol
    assert len(found) == found.protocol["within"] == int((space.flops(space.enumerate()) <= 60e6).sum())
    table = found.table()
    assert sorted(table["index"].to_pylist()) == list(range(15_625))
    assert table["flops"].to_pylist() == space.flops(space.enumerate())[table["index"].to_pylist()].tolist()
    assert set(table["reason_design"].to_pylist()[len(found) :]) == {"over a limit"}
    zcfast.score_space(space, ["params"]).save(tmp_path / "scores.parquet")
    with pytest.raises(ValueError, match=r"expected a design that zcfast.design or zcfast design made, got scores"):
        Design.load(tmp_path / "scores.parquet")


def test_a_learned_cost_says_so_in_the_file(space, tmp_path):
    rows = torch.arange(0, 15_000, 500)
    learned = zcfast.latency.fit(space, rows, space.params(space.enumerate()[rows]).double())
    found = zcfast.design(space, by="params", limits={"ms": (learned, 5e5), "seen": ([1.0] * 15_625, 2)})
    found.save(tmp_path / "found.parquet")
    meanings = Design.load(tmp_path / "found.parquet").tried.provenance.columns
    assert meanings["ms"].definition == "learned from 30 measured architectures by a Gaussian process; its mean"
    assert meanings["seen"].definition == "a cost of the caller's"


def test_a_sampler_has_nothing_to_choose_where_all_are_considered(space, tmp_path):
    with pytest.warns(Notice, match="sampler: no effect, as all 15,625 architectures of nasbench201 are considered"):
        found = zcfast.design(space, by="params", limits={"flops": 6e7}, sampler="tpe", evaluations=100_000)
    assert found.rows.equal(zcfast.design(space, by="params", limits={"flops": 6e7}).rows)
    with pytest.raises(ValueError, match="unknown sampler 'tp': did you mean tpe"):
        zcfast.design(space, by="params", sampler="tp")
    with pytest.raises(ValueError, match="unknown sampler 3: expected one of nsga2"):
        zcfast.design(space, by="params", sampler=3)


NAN = float("nan")
SHORT = r"limits: lat: expected a column of 15,625 numbers, one a row, got 2"
NUMBER = "expected a finite number > 0, got"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"limits": {"flop": 1e8}}, "unknown limit 'flop': did you mean flops"),
        ({"limits": {"flops": NAN}}, rf"limits: flops: {NUMBER} nan"),
        ({"limits": {"flops": -1}}, rf"limits: flops: {NUMBER} -1"),
        ({"limits": {"flops": 0}}, rf"limits: flops: {NUMBER} 0"),
        ({"limits": {"flops": float("inf")}}, rf"limits: flops: {NUMBER} inf"),
        ({"limits": {"params": "5 apples"}}, "limits: params: expected a number with or without a unit"),
        ({"limits": {"lat": ([1] * 15625, "3 GB")}}, "limits: lat: expected a number with or without a unit"),
        ({"limits": {"params": "0"}}, rf"limits: params: {NUMBER} 0"),
        ({"limits": {"params": True}}, rf"limits: params: {NUMBER} True"),
        ({"limits": {"lat": ([1, 2], 3)}}, SHORT),
        ({"limits": {"lat": (lambda space, cells: [1, 2], 3)}}, SHORT),
        ({"limits": {"lat": (["a"] * 15625, 3)}}, "limits: lat: expected real numbers"),
        ({"limits": {"lat": ([1] * 15625, NAN)}}, rf"limits: lat: {NUMBER} nan"),
        ({"limits": {"lat": ([1] * 15625,)}}, r"limits: lat: expected \(column, number\), got 1 values"),
        ({"limits": [("flops", 3)]}, "limits: expected numbers by name"),
        ({"limits": {"lat": (lambda space, cells: 1 / 0, 3)}}, "limits: lat: ZeroDivisionError: division by zero"),
        ({"minimise": "flops"}, "minimise: expected a list of names, got 'flops'"),
        ({"minimise": 3}, "minimise: expected a list of names, got 3"),
        ({"minimise": [3]}, r"minimise: expected a list of names, got \[3\]"),
        ({"minimise": ["latency"]}, "unknown cost to minimise 'latency'"),
        ({"by": "snipp"}, "unknown proxy 'snipp': did you mean snip"),
        ({"by": ["params", "params"]}, "by: expected each score once"),
        ({"by": []}, "by: expected at least one, got none"),
        ({"by": 3}, "by: expected names, proxies, Stages or an object with rank"),
        ({"by": "path_statistics"}, "by: expected a score of one column, got path_statistics of"),
        ({"by": "jacob_cov"}, "images: expected a minibatch, which jacob_cov need, got none"),
        ({"evaluations": 0}, "evaluations: expected a number >= 1, got 0"),
        ({"evaluations": 2.5}, "evaluations: expected an integer, got 2.5"),
        ({"seed": -1}, "seed: expected a number >= 0, got -1"),
        ({"workers": 0}, "workers: expected a number >= 1, got 0"),
        ({"stem": 3}, "unknown option 'stem'"),
    ],
)
def test_bad_arguments_are_one_clear_error(space, arguments, message):
    with pytest.raises((ValueError, TypeError), match=message) as error:
        zcfast.design(space, **arguments)
    assert "\n" not in str(error.value)


def test_limits_that_exclude_everything_say_how_near_the_space_comes(space):
    with pytest.raises(ValueError, match=r"none of 15,625 architectures considered has flops <= 1: the least is 7\.78"):
        zcfast.design(space, limits={"flops": 1})
    fast = 1 / space.params(space.enumerate()).double()  # the larger, the faster
    with pytest.raises(ValueError, match=r"has flops <= 1e\+07, slow <= \S+ at once: the nearest has flops .*, slow"):
        zcfast.design(space, limits={"flops": 1e7, "slow": (fast, float(fast.min()) * 1.01)})
    with pytest.raises(ValueError, match="none of 15,625 architectures considered has a number for lat"):
        zcfast.design(space, limits={"lat": (torch.full((15625,), torch.nan), 3)})


@given(st.lists(st.floats(allow_nan=False) | st.integers(-3, 3).map(float), max_size=30))
def test_ranks_are_those_of_scipy(values):
    column = torch.tensor(values, dtype=torch.float64)
    assert average_ranks(column).tolist() == rankdata(column.numpy()).tolist()


@pytest.mark.parametrize("name", ["design", "index", "architecture", "path_rank", "network"])
def test_a_limit_with_the_name_of_another_column_is_refused(name):
    with pytest.raises(ValueError, match=f"limits: expected another name than '{name}'"):
        zcfast.design("nasbench201", by="path_rank", limits={name: (torch.ones(15_625), 1.0)})
