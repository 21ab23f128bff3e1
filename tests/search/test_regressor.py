import importlib
import math

import pytest
import torch

from zcfast import search
from zcfast.order import best_first
from zcfast.search import gaussian_process
from zcfast.search.gaussian_process import SETTINGS, GaussianProcess, normal_scores
from zcfast.search.regressor import features
from zcfast.testing import AlgorithmContract
from zcfast.testing.algorithm import advance, drawn_accuracies, drawn_scores


@pytest.mark.slow
class TestRegressor(AlgorithmContract):
    """On NAS-Bench-201, all of it as candidates; NAS-Bench-101 takes minutes."""

    spaces = ("nasbench201",)
    steps = 18
    warm = 200
    threaded_runs = 3  # each has tensors of the whole space

    def make(self):
        return search.regressor(first=12, candidates=200)


class TestRegressorOnLargeSpaces(AlgorithmContract):
    """The same space as if it were too large to be candidates whole."""

    spaces, steps, warm, threaded_runs = ("nasbench201",), 18, 200, 3

    def make(self):
        return search.regressor(first=12, candidates=200)

    @pytest.fixture(autouse=True)
    def _large(self, monkeypatch):
        monkeypatch.setattr(importlib.import_module("zcfast.search.regressor"), "WHOLE", 0)


def observations(n: int = 12, columns: int = 3):
    generator = torch.Generator().manual_seed(n)
    known = torch.randn(n, columns, generator=generator, dtype=torch.float64)
    return known, known[:, 0].sin() + 0.1 * torch.randn(n, generator=generator, dtype=torch.float64)


def plain_covariance(a, b, length, linear):
    """Rasmussen and Williams 2006, equation 4.17, one pair at a time."""
    result = torch.empty(len(a), len(b), dtype=torch.float64)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            r = math.sqrt(5) * ((x - y) ** 2).mean().sqrt().item() / length
            result[i, j] = (1 + r + r * r / 3) * math.exp(-r) + linear * (x * y).mean()
    return result


def test_fit_has_the_highest_likelihood_of_the_grid():
    known, targets = observations()
    model = GaussianProcess.fit(known, targets)
    likelihoods = []
    for length, linear, noise in SETTINGS:
        covariance = plain_covariance(known, known, length, linear) + noise * torch.eye(len(known), dtype=torch.float64)
        variance = targets @ torch.linalg.solve(covariance, targets) / len(targets)
        normal = torch.distributions.MultivariateNormal(torch.zeros_like(targets), variance * covariance)
        likelihoods.append(normal.log_prob(targets).item())
    best = max(range(len(SETTINGS)), key=likelihoods.__getitem__)
    assert (model.length, model.linear, model.noise) == SETTINGS[best]


def test_mean_and_bound_are_those_of_the_covariance_matrix():
    known, targets = observations()
    model = GaussianProcess.fit(known, targets)
    others, _ = observations(40)
    shape = (model.length, model.linear)
    noisy = plain_covariance(known, known, *shape) + model.noise * torch.eye(len(known), dtype=torch.float64)
    between = plain_covariance(others, known, *shape)
    mean = between @ torch.linalg.solve(noisy, targets)
    left = plain_covariance(others, others, *shape) - between @ torch.linalg.solve(noisy, between.T)
    bound = mean + 0.7 * (model.variance * left.diagonal()).sqrt()
    torch.testing.assert_close(model.mean(others), mean, rtol=1e-10, atol=1e-10)
    got = model.upper_bound(others, 0.7)
    torch.testing.assert_close(got, bound, rtol=1e-8, atol=1e-8)


def test_blocks_change_nothing(monkeypatch):
    known, targets = observations()
    model = GaussianProcess.fit(known, targets)
    others, _ = observations(500)
    whole = model.upper_bound(others, 0.1)
    monkeypatch.setattr(gaussian_process, "BLOCK", 7)
    torch.testing.assert_close(model.upper_bound(others, 0.1), whole, rtol=1e-12, atol=1e-12)
    assert model.upper_bound(others[:0], 0.1).shape == (0,)


def test_what_is_expected_changes_no_mean_and_lowers_bounds():
    known, targets = observations()
    model, (others, _) = GaussianProcess.fit(known, targets), observations(40)
    waiting = model.expecting(others[:3])
    torch.testing.assert_close(waiting.mean(others), model.mean(others))
    assert (waiting.upper_bound(others, 1.0)[:3] < model.upper_bound(others, 1.0)[:3]).all()
    assert torch.equal(model.expecting(others[:0]).upper_bound(others, 1.0), model.upper_bound(others, 1.0))


@pytest.mark.parametrize("targets", [[0.3], [0.3, 0.3], [1.0, 2.0, 3.0]])
def test_few_and_equal_targets(targets):
    known, _ = observations(len(targets))
    scores = normal_scores(torch.tensor(targets, dtype=torch.float64))
    assert scores.sum().abs() < 1e-12
    assert GaussianProcess.fit(known, scores).upper_bound(known, 0.5).isfinite().all()


def test_normal_scores_by_hand():
    values = torch.tensor([3.0, 1.0, 3.0, -math.inf], dtype=torch.float64)
    wanted = torch.distributions.Normal(0.0, 1.0).icdf(torch.tensor([0.625, 0.375, 0.625, 0.125]) + 0.0)
    wanted[[0, 2]] = torch.distributions.Normal(0.0, 1.0).icdf(torch.tensor(0.75 - 0.0)).item()  # ranks 3 and 4 shared
    torch.testing.assert_close(normal_scores(values), wanted.double(), rtol=0, atol=1e-6)


@pytest.mark.slow
def test_features_are_standardised_and_finite(space):
    known = features(space.name)
    assert known.isfinite().all()
    assert (known.mean(0).abs() < 1e-9).all()
    torch.testing.assert_close(known.std(0), torch.ones(known.shape[1], dtype=torch.float64))
    proxied = features(space.name, search.warmup(search.regressor(), drawn_scores(space.name)).initial)
    assert torch.equal(proxied[:, :-1], known)
    assert proxied.isfinite().all()


def smooth(space: str) -> torch.Tensor:
    """An accuracy that the features determine."""
    known = features(space)
    return known[:, 2] - known[:, 4]


@pytest.mark.slow
def test_it_finds_the_best_of_a_smooth_function(space):
    accuracies = smooth(space.name)
    algorithm, random = search.regressor(first=10, candidates=2000), search.random_search()
    rows, _ = advance(algorithm, algorithm.init(space, runs=2), accuracies, 30)
    drawn, _ = advance(random, random.init(space, runs=2), accuracies, 300)
    assert accuracies[rows].amax(1).mean() > accuracies[drawn].amax(1).mean()


@pytest.mark.slow
def test_candidates_of_a_large_space_are_its_highest_bounds():
    accuracies, known = smooth("nasbench101"), features("nasbench101")
    algorithm = search.regressor(first=10, candidates=30)
    _, state = advance(algorithm, algorithm.init("nasbench101", runs=2), accuracies, 10)
    rows, asked = algorithm.ask(state)
    for run in range(2):
        trained = state.rows[run]
        bounds = GaussianProcess.fit(known[trained], normal_scores(accuracies[trained])).upper_bound(known, 0.5)
        highest = bounds.round(decimals=9).sort(descending=True, stable=True).indices
        assert torch.equal(asked.pool[run], highest[: 30 + 15])
        assert rows[run] in highest[:40]
        assert rows[run] not in trained
    assert asked.due == 15
    _, state = advance(algorithm, state, accuracies, 5)
    assert torch.equal(state.pool, asked.pool)
    assert not torch.equal(algorithm.ask(state)[1].pool, asked.pool)


@pytest.mark.slow
def test_threads_change_no_candidates_of_a_large_space():
    algorithm, before, pools = search.regressor(first=40, candidates=30), torch.get_num_threads(), []
    _, state = advance(algorithm, algorithm.init("nasbench101", runs=1), smooth("nasbench101"), 40)
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            pools.append(algorithm.ask(state)[1].pool)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*pools)


def test_all_of_a_small_space_are_candidates():
    algorithm = search.regressor(first=5, candidates=1)
    _, state = advance(algorithm, algorithm.init("nasbench201", runs=2), smooth("nasbench201"), 6)
    assert torch.equal(state.pool, torch.arange(15_625).expand(2, -1))


def test_incumbent_has_the_highest_posterior_mean():
    accuracies = smooth("nasbench201")
    algorithm = search.regressor(first=10)
    state = algorithm.init("nasbench201", runs=2)
    assert algorithm.incumbent(state).tolist() == [-1, -1]
    rows, state = advance(algorithm, state, accuracies, 25)
    best = algorithm.incumbent(state)
    assert (accuracies[best] >= accuracies[rows].quantile(0.5, 1)).all()
    assert (best[:, None] == rows).any(1).all()


def test_warm_up_with_the_whole_space_trains_the_best_scored_first():
    scores = drawn_scores("nasbench201")
    algorithm = search.warmup(search.regressor(first=3), scores, len(scores))
    rows, _ = advance(algorithm, algorithm.init("nasbench201", runs=2), drawn_accuracies("nasbench201"), 5)
    assert torch.equal(rows[:, :3], best_first(scores)[:3].expand(2, -1))
    few = search.warmup(search.regressor(first=5), scores, 2)
    assert len(advance(few, few.init("nasbench201", runs=1), scores, 7)[0].unique()) == 7


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"first": 0}, "first: expected a number >= 1, got 0"),
        ({"first": 2.5}, "first: expected an integer, got 2.5"),
        ({"candidates": 0}, "candidates: expected a number >= 1, got 0"),
        ({"optimism": math.nan}, "optimism: expected a finite number >= 0, got nan"),
        ({"optimism": math.inf}, "optimism: expected a finite number >= 0, got inf"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        search.regressor(**options)
