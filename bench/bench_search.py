"""Searches of many runs at once, each beside the published example's loop in plain Python (bench/published_search.py).

Aims: ageing evolution of 1,000 runs of 300 trainings at least 200 times the published loop on NAS-Bench-201 and under
3 s on NAS-Bench-101; random search with warm-up under 1 s; REINFORCE of 100 runs under 20 s; the predictor, 32 runs of
100 trainings under 15 minutes. Accuracies are drawn: their values change no time. Times are of the processor, which
other processes change less than those of the clock.
"""

import statistics
import time

import pytest
import torch

import zcfast
from bench.published_search import Published
from bench.timing import measured
from zcfast import search
from zcfast.tables import Metric, Table

pytestmark = pytest.mark.usefixtures("one_thread")
RUNS, BUDGET, PUBLISHED_RUNS = 1000, 300, 5


@pytest.fixture(scope="module")
def tables():
    made = {}
    for name in ("nasbench101", "nasbench201"):
        values = torch.rand(len(zcfast.space(name)), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        made[name] = Table(name, {"test": Metric(values[None], "", "", None, "fraction")}, ("test",), "drawn")
    return made


@pytest.fixture(scope="module")
def scores():
    return {name: zcfast.score_space(name, ["params"])["params"] for name in ("nasbench101", "nasbench201")}


@pytest.fixture(scope="module")
def published(tables, scores):
    accuracies = tables["nasbench201"]["test"].tolist()
    operations = zcfast.space("nasbench201").enumerate().operations.tolist()
    return Published(operations, accuracies, accuracies, scores["nasbench201"].tolist())


def timed(benchmark, algorithm, table, runs=RUNS, budget=BUDGET, rounds=5):
    search.run(algorithm, table.space, table, runs=1, budget=min(budget, 70))  # neighbours are looked up once a process
    benchmark.pedantic(
        search.run, (algorithm, table.space, table), {"runs": runs, "budget": budget}, rounds=rounds, warmup_rounds=1
    )
    return measured(benchmark)


def per_published_run(run):
    """Median seconds a run, each round right after the engine's, so that a busy machine slows both."""
    seconds = []
    for _ in range(PUBLISHED_RUNS):
        start = time.process_time()
        run()
        seconds.append(time.process_time() - start)
    return statistics.median(seconds)


@pytest.mark.benchmark(timer=time.process_time, group="ageing evolution, 1,000 runs of 300 trainings")
def test_ageing_evolution_on_nasbench201(benchmark, tables, published):
    stats = timed(benchmark, search.ageing_evolution(), tables["nasbench201"])
    rival = per_published_run(lambda: published.evolution(BUDGET)) * RUNS
    benchmark.extra_info |= {"published_s": rival, "times_faster": rival / stats.median}


@pytest.mark.benchmark(timer=time.process_time, group="ageing evolution, 1,000 runs of 300 trainings")
def test_ageing_evolution_on_nasbench101(benchmark, tables):
    assert timed(benchmark, search.ageing_evolution(), tables["nasbench101"]).min < 3


@pytest.mark.benchmark(timer=time.process_time, group="ageing evolution with warm-up of 3,000 and moves, 1,000 runs")
def test_warm_ageing_evolution(benchmark, tables, scores, published):
    column = scores["nasbench201"]
    algorithm = search.move_proposal(search.warmup(search.ageing_evolution(), column, 3000), column)
    stats = timed(benchmark, algorithm, tables["nasbench201"], rounds=3)
    rival = per_published_run(lambda: published.evolution(BUDGET, warmup=3000)) * RUNS
    benchmark.extra_info |= {"published_without_moves_s": rival, "times_faster": rival / stats.median}


@pytest.mark.benchmark(
    timer=time.process_time, group="random search with warm-up of 3,000, 1,000 runs of 300 trainings"
)
@pytest.mark.parametrize("name", ["nasbench101", "nasbench201"])
def test_random_search_with_warm_up(benchmark, tables, scores, published, name):
    algorithm = search.warmup(search.random_search(), scores[name], 3000)
    stats = timed(benchmark, algorithm, tables[name], rounds=3)
    rival = per_published_run(lambda: published.random_search(BUDGET, warmup=3000)) * RUNS
    benchmark.extra_info |= {"published_s": rival, "times_faster": rival / stats.median}
    assert stats.min < 1


@pytest.mark.benchmark(timer=time.process_time, group="REINFORCE, 100 runs of 300 trainings")
@pytest.mark.parametrize("name", ["nasbench101", "nasbench201"])
def test_reinforce(benchmark, tables, name):
    assert timed(benchmark, search.reinforce(), tables[name], runs=100, rounds=2).min < 20


@pytest.mark.benchmark(timer=time.process_time, group="REINFORCE with warm-up of 3,000 or moves, 100 runs")
@pytest.mark.parametrize("name", ["nasbench101", "nasbench201"])
@pytest.mark.parametrize("with_scores", [search.warmup, search.move_proposal])
def test_reinforce_with_scores(benchmark, tables, scores, with_scores, name):
    """Ten times as many steps as without scores: 3,000 before the first training, or ten between two of 300."""
    algorithm, table = with_scores(search.reinforce(), scores[name]), tables[name]
    benchmark.pedantic(search.run, (algorithm, name, table), {"runs": 100, "budget": BUDGET}, rounds=1)


@pytest.mark.benchmark(timer=time.process_time, group="binary predictor, 32 runs of 100 trainings")
def test_binary_predictor(benchmark, tables):
    algorithm, table = search.binary_predictor(), tables["nasbench201"]
    options = {"runs": 32, "budget": 100}
    benchmark.pedantic(search.run, (algorithm, table.space, table), options, rounds=1)
    assert measured(benchmark).min < 15 * 60


@pytest.mark.benchmark(timer=time.process_time, group="growth of ageing evolution with runs and budget")
@pytest.mark.parametrize(
    ("runs", "budget"), [(1000, 300), (2000, 300), (4000, 300), (8000, 300), (1000, 600), (1000, 1200)]
)
def test_growth(benchmark, tables, runs, budget):
    growth(benchmark, search.ageing_evolution(), tables, runs, budget)


@pytest.mark.benchmark(timer=time.process_time, group="growth of random search with runs and budget")
@pytest.mark.parametrize(("runs", "budget"), [(1000, 300), (4000, 300), (1000, 1200)])
def test_growth_of_random_search(benchmark, tables, runs, budget):
    growth(benchmark, search.random_search(), tables, runs, budget)


@pytest.mark.benchmark(timer=time.process_time, group="growth of REINFORCE with runs and budget")
@pytest.mark.parametrize(("runs", "budget"), [(100, 300), (400, 300), (100, 1200)])
def test_growth_of_reinforce(benchmark, tables, runs, budget):
    growth(benchmark, search.reinforce(), tables, runs, budget)


def growth(benchmark, algorithm, tables, runs, budget):
    stats = timed(benchmark, algorithm, tables["nasbench201"], runs, budget, rounds=3)
    benchmark.extra_info["ns_a_training"] = stats.median / (runs * budget) * 1e9
