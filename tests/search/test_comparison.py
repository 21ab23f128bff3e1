import pytest
import torch

from zcfast import search
from zcfast.tables import Metric, Table
from zcfast.testing.algorithm import drawn_accuracies, drawn_scores


def test_the_paper_has_ten_algorithms():
    names = list(search.paper_algorithms(drawn_scores("nasbench201")))
    assert names == [
        "random_search", "random_search + warm-up", "ageing_evolution", "ageing_evolution + warm-up",
        "ageing_evolution + move", "reinforce", "reinforce + warm-up", "reinforce + move", "binary_predictor",
        "binary_predictor + warm-up",
    ]  # fmt: skip


def test_algorithms_side_by_side():
    accuracies = drawn_accuracies("nasbench201")
    metric = Metric(accuracies[None], "", "test", None, "percent")
    table = Table("nasbench201", {"test": metric}, ("test",), "drawn")
    named, seen = search.paper_algorithms(drawn_scores("nasbench201"), 200), []
    algorithms = {name: named[name] for name in ("random_search + warm-up", "ageing_evolution")}
    trajectories = search.compare(algorithms, "nasbench201", table, budget=90, runs=5, seed=2, progress=seen.append)
    assert seen == list(trajectories) == list(algorithms)
    for name, trajectory in trajectories.items():
        alone = search.run(algorithms[name], "nasbench201", table, budget=90, runs=5, seed=2)
        assert torch.equal(trajectory.rows, alone.rows)
    rows = search.quartiles_by_trainings(trajectories, [10, 90]).to_pylist()
    assert [(row["algorithm"], row["trainings"]) for row in rows] == [(n, t) for n in algorithms for t in (10, 90)]
    best = trajectories["ageing_evolution"].best_so_far[:, 89]
    assert (rows[3]["worst"], rows[3]["median"], rows[3]["best"]) == (best.min(), best.median(), best.max())
    with pytest.raises(ValueError, match="trainings: expected 1 to 90, the budget, got 91"):
        search.quartiles_by_trainings(trajectories, [91])


def test_runs_that_never_reach_the_target_come_last():
    values = torch.tensor([[1.0, 5], [1, 2], [5, 5], [1, 1]], dtype=torch.float64)
    trajectory = search.Trajectory("nasbench201", torch.zeros(4, 2, dtype=torch.int64), values, values)
    (row,) = search.trainings_to_target({"a": trajectory}, 5).to_pylist()
    expected = {"algorithm": "a", "runs": 4, "reached": 2, "lower_quartile": 1, "median": 2, "upper_quartile": None}
    assert row == expected
