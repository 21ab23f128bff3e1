import concurrent.futures
import math
import threading

import pytest
import torch

from zcfast import search
from zcfast.spaces import space
from zcfast.tables import Metric, Table
from zcfast.testing.algorithm import drawn_accuracies, drawn_scores

SPACE = space("nasbench201")


def table_of(seeds=(), **metrics):
    made = {name: Metric(values, "", "", None, "percent", seeds) for name, values in metrics.items()}
    return Table("nasbench201", made, (next(iter(made)),), "drawn")


@pytest.fixture
def table():
    accuracies = drawn_accuracies("nasbench201")
    return table_of(valid=accuracies[None], test=(accuracies + torch.linspace(0, 5, 15_625))[None])


@pytest.fixture
def algorithm():
    return search.ageing_evolution(pool=10, tournament=3)


def test_equals_asking_and_telling(table, algorithm):
    trajectory = search.run(
        algorithm, "nasbench201", table, budget=30, runs=4, objective="valid", report="test", seed=5
    )
    state, rows = algorithm.init("nasbench201", runs=4, seed=5), []
    for _ in range(30):
        asked, state = algorithm.ask(state)
        state = algorithm.tell(state, asked, table["valid"][asked])
        rows.append(asked)
    assert torch.equal(trajectory.rows, torch.stack(rows, 1))
    assert torch.equal(trajectory.objective.nan_to_num(), table["valid"][trajectory.rows].nan_to_num())
    for run in range(4):
        best, highest = math.nan, -math.inf
        for number in range(30):
            row = trajectory.rows[run, number]
            if table["valid"][row] > highest:
                highest, best = table["valid"][row], table["test"][row].item()
            came = trajectory.best_so_far[run, number].item()
            assert came == best or (math.isnan(came) and math.isnan(best))
    assert trajectory.provenance.options["algorithm"] == {
        "name": "ageing_evolution", "initial": None, "move": None, "pool": 10, "tournament": 3,
    }  # fmt: skip


def test_validation_chooses_by_default_and_the_headline_is_shown():
    values = drawn_accuracies("nasbench201")[None]
    metrics = {
        name: Metric(values, dataset, split, epochs, "percent")
        for name, dataset, split, epochs in (
            ("test_a", "a", "test", 200),
            ("test_b", "b", "test", 200),
            ("test_c", "c", "test", 200),
            ("early_a", "a", "valid", 12),
            ("valid_b", "b", "valid", 200),
            ("valid_a", "a", "valid", 200),
        )
    }
    table = Table("nasbench201", metrics, ("test_a", "test_b"), "drawn")

    def chosen(**given):
        made = search.run(search.random_search(), SPACE, table, budget=1, runs=1, **given).provenance.options
        return made["objective"], made["report"]

    assert chosen() == ("valid_a", "test_a")
    assert chosen(report="test_b") == ("valid_b", "test_b")
    assert chosen(report="test_c") == ("test_c", "test_c")
    assert chosen(objective="test_b") == ("test_b", "test_b")
    assert chosen(objective="valid_b", report="test_a") == ("valid_b", "test_a")
    with pytest.raises(ValueError, match="unknown metric 'test_d'"):
        chosen(report="test_d")


def test_the_incumbent_is_the_first_of_equal_objectives_and_never_nan():
    objective = torch.tensor([[torch.nan, 2.0, 2.0, 1.0, 3.0, torch.nan]], dtype=torch.float64)
    report = torch.tensor([[9.0, 5.0, 6.0, 9.0, 4.0, 9.0]], dtype=torch.float64)
    trajectory = search.Trajectory("nasbench201", torch.arange(6)[None], objective, report)
    assert trajectory.best.tolist() == [[-1, 1, 1, 1, 4, 4]]
    assert trajectory.best_so_far[0, 1:].tolist() == [5, 5, 5, 4, 4]
    assert trajectory.best_so_far[0, 0].isnan()
    assert trajectory.trainings_to(5).tolist() == [2]
    assert trajectory.trainings_to(5.5).isnan().tolist() == [True]
    with pytest.raises(ValueError, match="target: expected an accuracy, got nan"):
        trajectory.trainings_to(math.nan)


def test_quartiles_are_over_the_runs():
    values = torch.tensor([[1.0, 5], [2, 6], [3, 7], [4, 8], [5, 9]], dtype=torch.float64)
    trajectory = search.Trajectory("nasbench201", torch.zeros(5, 2, dtype=torch.int64), values, values)
    assert trajectory.quantiles().tolist() == [[2, 6], [3, 7], [4, 8]]
    assert trajectory.median.tolist() == [3, 7]
    assert trajectory.trainings_to(5).tolist() == [2, 2, 2, 2, 1]


def test_random_repetitions_are_among_the_runs_that_there_are(algorithm):
    single = torch.arange(3.0, dtype=torch.float64)[:, None] + 10 * torch.arange(15_625, dtype=torch.float64)
    single[1, ::2] = torch.nan
    table = table_of(seeds=(7, 8, 9), test=single)
    random = search.random_search()
    drawn = search.run(random, "nasbench201", table, budget=300, runs=20, repetition="random")
    seeds = (drawn.objective - 10 * drawn.rows).long()
    counts = torch.stack([(seeds == seed)[drawn.rows % 2 == 0].sum() for seed in range(3)])
    assert counts[1] == 0
    assert (counts[[0, 2]] - 1500).abs().max() < 5 * 750**0.5
    odd = torch.stack([(seeds == seed)[drawn.rows % 2 == 1].sum() for seed in range(3)])
    assert (odd - 1000).abs().max() < 5 * 700**0.5
    assert torch.equal(drawn.report, drawn.objective)
    again = search.run(random, "nasbench201", table, budget=300, runs=5, repetition="random")
    assert torch.equal(again.objective, drawn.objective[:5])
    mean = search.run(random, "nasbench201", table, budget=20, runs=2)
    assert torch.equal(mean.objective, table["test"][mean.rows])


def test_a_function_in_place_of_a_table(algorithm, table):
    accuracies, calls = table["valid"], []

    def evaluate(cells):
        calls.append(len(cells))
        return accuracies[SPACE.index(cells)].tolist()

    expected = search.run(algorithm, "nasbench201", table, budget=25, runs=3)
    together = search.run(algorithm, SPACE, evaluate, budget=25, runs=3)
    one_by_one = search.run(algorithm, SPACE, evaluate, budget=25, runs=3, workers=1)
    assert calls == [3] * 25 + [1] * 75
    for each in (together, one_by_one):
        assert torch.equal(each.rows, expected.rows)
        assert torch.equal(each.best_so_far.nan_to_num(), expected.best_so_far.nan_to_num())


@pytest.mark.parametrize("own_executor", [False, True])
def test_workers_train_at_the_same_time(algorithm, own_executor):
    """Four trainings meet at a barrier, so fewer than four at a time would never end."""
    barrier = threading.Barrier(4)

    def evaluate(cells):
        barrier.wait(timeout=30)
        return [float(SPACE.index(cells)[0])]

    executor = concurrent.futures.ThreadPoolExecutor(4) if own_executor else None
    trajectory = search.run(algorithm, SPACE, evaluate, budget=16, runs=2, workers=4, executor=executor)
    assert (trajectory.rows >= 0).all()
    assert torch.equal(trajectory.rows.double(), trajectory.objective)


@pytest.mark.parametrize("workers", [None, 1, 3])
def test_ctrl_c_keeps_what_was_trained(algorithm, workers):
    lock, calls = threading.Lock(), []

    def evaluate(cells):
        with lock:
            calls.append(1)
            if len(calls) == 7:
                raise KeyboardInterrupt
        return [1.0] * len(cells)

    with pytest.raises(KeyboardInterrupt) as interrupted:
        search.run(algorithm, SPACE, evaluate, budget=20, runs=2, workers=workers)
    trajectory = interrupted.value.trajectory
    trained = int((trajectory.rows >= 0).sum())
    assert trained == 12 if workers is None else trained in (4, 5, 6, 7, 8)
    assert torch.equal(trajectory.rows >= 0, trajectory.objective == 1)


@pytest.mark.parametrize("workers", [None, 1, 3])
def test_what_a_function_raises_keeps_what_was_trained(algorithm, workers):
    lock, calls = threading.Lock(), []

    def evaluate(cells):
        with lock:
            calls.append(1)
            if len(calls) == 7:
                raise OSError("disk full")
        return [1.0] * len(cells)

    message = "evaluate failed after .* trainings, which .trajectory has: OSError: disk full"
    with pytest.raises(search.SearchFailed, match=message) as failed:
        search.run(algorithm, SPACE, evaluate, budget=20, runs=2, workers=workers)
    assert isinstance(failed.value.__cause__, OSError)
    trajectory = failed.value.trajectory
    trained = int((trajectory.rows >= 0).sum())
    assert trained == 12 if workers is None else trained in (4, 5, 6, 7, 8)
    assert torch.equal(trajectory.rows >= 0, trajectory.objective == 1)


@pytest.mark.parametrize("at_once", [1, 5])
def test_callback_and_progress(algorithm, table, at_once):
    """Trainings of a function are told one after the other, look-ups of a table as many as are made at once."""
    seen, done = [], []
    trajectory = search.run(
        search.random_search(),
        SPACE,
        table if at_once == 5 else lambda cells: torch.zeros(len(cells)),
        budget=5,
        runs=3,
        callback=seen.append,
        progress=lambda *state: done.append(state),
    )
    assert torch.equal(torch.cat([trained.rows for trained in seen], 1), trajectory.rows)
    assert [trained.first for trained in seen] == list(range(0, 5, at_once))
    assert done == [(3 * told, 15) for told in range(at_once, 6, at_once)]


def test_saved_and_loaded(algorithm, table, tmp_path):
    trajectory = search.run(algorithm, SPACE, table, budget=12, runs=3)
    assert trajectory == trajectory
    trajectory.rows[1, 7:] = -1  # as after an interruption
    trajectory.objective[1, 7:] = trajectory.report[1, 7:] = torch.nan
    trajectory.save(tmp_path / "t.parquet")
    loaded = search.Trajectory.load(tmp_path / "t.parquet")
    assert torch.equal(loaded.rows, trajectory.rows)
    assert loaded.provenance == trajectory.provenance
    for name in ("objective", "report", "best_so_far"):
        assert torch.equal(getattr(loaded, name).nan_to_num(-1), getattr(trajectory, name).nan_to_num(-1))
    (tmp_path / "t.parquet").write_bytes(b"other")
    for path in ("t.parquet", "none.parquet"):
        with pytest.raises(ValueError, match=rf"{path}: expected a Parquet file of trajectories saved by zcfast, got"):
            search.Trajectory.load(tmp_path / path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"budget": 15_626}, "budget: expected 1 to 15625 trainings, the size of the space, got 15626"),
        ({"budget": 0}, "budget: expected 1 to 15625"),
        ({"runs": 0}, "runs: expected a number >= 1, got 0"),
        ({"objective": "tset"}, "unknown metric 'tset': did you mean test"),
        ({"repetition": "first"}, "repetition: expected 'mean' or 'random', got 'first'"),
        (
            {"repetition": "random"},
            "repetition: expected a metric with several training runs for 'random', got 'valid'",
        ),
        ({"workers": 2}, "workers: no effect on a table"),
        ({"budget": 2.5}, "budget: expected an integer, got 2.5"),
        ({"runs": 1.5}, "runs: expected an integer, got 1.5"),
        ({"seed": None}, "seed: expected an integer, got None"),
        ({"objective": 3}, "unknown metric 3: expected one of valid, test"),
        ({"device": "cuda:99"}, "device: expected one that PyTorch finds here, got 'cuda:99'"),
    ],
)
def test_bad_options(algorithm, table, options, message):
    with pytest.raises(ValueError, match=message):
        search.run(algorithm, SPACE, table, **options)


@pytest.mark.parametrize(
    ("given", "came"), [(search.random_search, "the class RandomSearch"), ("random_search", "'random_search'")]
)
def test_what_is_no_algorithm(table, given, came):
    with pytest.raises(ValueError, match=rf"algorithm: expected an instance such as search.*\(\), got {came}"):
        search.run(given, SPACE, table)


def test_bad_tables_and_functions(algorithm, table):
    empty = table_of(test=torch.full((1, 15_625), torch.nan))
    with pytest.raises(ValueError, match="table: expected accuracies in 'test', got none for any architecture"):
        search.run(algorithm, SPACE, empty)
    with pytest.raises(ValueError, match="table: expected accuracies of nasbench101, got those of nasbench201"):
        search.run(algorithm, "nasbench101", table)
    with pytest.raises(ValueError, match="table: expected a table or a function of architectures, got dict"):
        search.run(algorithm, SPACE, {})
    with pytest.raises(ValueError, match="objective, report and repetition: no effect on a function"):
        search.run(algorithm, SPACE, len, objective="test")
    for result in (1.0, [1.0], "text", None):
        with pytest.raises(search.SearchFailed, match="evaluate: expected 2 numbers, got"):
            search.run(algorithm, SPACE, lambda _cells, result=result: result, runs=2)
    with pytest.raises(ValueError, match="workers: expected a number >= 1, got 0"):
        search.run(algorithm, SPACE, len, workers=0)


def test_warm_up_larger_than_the_space_and_failures_only(table):
    with pytest.raises(
        ValueError, match="warm-up: expected 1 to 15625 architectures, the size of the space, got 20000"
    ):
        search.warmup(search.random_search(), drawn_scores("nasbench201"), 20_000)
    trajectory = search.run(search.random_search(), SPACE, lambda cells: [math.nan] * len(cells), budget=4, runs=2)
    assert trajectory.best_so_far.isnan().all()
    assert trajectory.trainings_to(0).isnan().all()
