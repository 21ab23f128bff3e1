import numpy as np
import pytest
import torch
from torch import nn

import zcfast
from tests.latency.nets import own
from tests.shared import shared_data
from zcfast import search
from zcfast.analysis import regret, spearman
from zcfast.search.features import choices_of
from zcfast.search.regressor import features

LIMITS = {  # of latency, in ms
    "eyeriss": (3.9, 5.1, 9.1),
    "fpga": (3.8, 4.7, 7.4),
    "gold_6226": (8.0, 10.7, 14.3),
    "titan_rtx_256": (17.8, 18.9, 24.2),
    "pixel2": (14, 18, 25),
}


def drawn(size, of, seed=0):
    return torch.randperm(of, generator=torch.Generator().manual_seed(1000 + seed))[:size]


def test_a_space_of_cells():
    space = zcfast.space("nasbench201")
    truth = zcfast.score_space(space, ["path_statistics"])["path_conv_layers"] + space.params(space.enumerate()) / 1e6
    rows = drawn(50, len(space))
    predictor = search.predictor(space, rows, truth[rows])
    assert repr(predictor) == "Predictor(nasbench201: 50 trained)"
    cells = space.enumerate()[::5]
    rank = predictor.rank(space, cells)
    assert rank.dtype == torch.float64
    assert spearman(rank, truth[::5]) > 0.95
    again = search.predictor("nasbench201", space.enumerate()[rows], truth[rows].tolist())
    assert torch.equal(again.rank(space, cells), rank)


def test_the_rank_is_the_predictions_with_a_quarter_of_path_rank():
    space = zcfast.space("nasbench201")
    rows, cells = drawn(12, len(space)), space.enumerate()[:200]
    reached = torch.rand(12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    predictor = search.predictor(space, rows, reached)
    mean = predictor.process.mean(known(space)[:200]).round(decimals=9).tolist()
    prior = zcfast.score_space(space, ["path_rank"], cells=cells)["path_rank"].tolist()
    torch.testing.assert_close(predictor.rank(space, cells), log_ranks(mean) + log_ranks(prior) / 4)
    assert predictor.rank(space, cells[:0]).shape == (0,)


def log_ranks(values):
    ranks = [1 + sum(a < b for a in values) + (sum(a == b for a in values) - 1) / 2 for b in values]
    return (torch.tensor(ranks, dtype=torch.float64) / len(values)).log()


def known(space):
    return torch.cat([features(space.name), choices_of(space)], 1)


def test_an_own_space():
    space = own()
    widths = space.decode(space.enumerate())[:, 0].double()
    rows = drawn(30, len(space))
    predictor = search.predictor(space, rows, widths[rows])
    rank = predictor.rank(space, space.enumerate())
    assert spearman(rank, widths) > 0.95
    assert torch.equal(predictor.rank(space, space.enumerate()[:7]), rank[:7])


def test_failed_trainings_are_left_out():
    space, rows = zcfast.space("nasbench201"), drawn(20, 15_625)
    reached = torch.arange(20.0)
    reached[[3, 9]] = torch.nan
    kept = ~reached.isnan()
    cells = space.enumerate()[:50]
    expected = search.predictor(space, rows[kept], reached[kept]).rank(space, cells)
    assert torch.equal(search.predictor(space, rows, reached).rank(space, cells), expected)


def test_bad_input():
    space = zcfast.space("nasbench201")
    for rows, reached, message in (
        ([1, 2], [1.0], "accuracies: expected one for each of 2 rows, got 1"),
        ([1, 2], [1.0, float("nan")], "accuracies: expected two or more finite numbers, got 1"),
        ([1, 2, 3], [1.0, 2.0, float("inf")], "accuracies: expected two or more finite numbers"),
        ([1, 99_999], [1.0, 2.0], "rows: expected numbers from 0 to 15624"),
    ):
        with pytest.raises(ValueError, match=message):
            search.predictor(space, rows, reached)
    predictor = search.predictor(space, [1, 200], [1.0, 2.0])
    with pytest.raises(ValueError, match="space: expected nasbench201, whose accuracies were given, got nasbench101"):
        predictor.rank(zcfast.space("nasbench101"), zcfast.space("nasbench101").sample(1))


def test_a_network_that_cannot_be_built():
    def build(trial):
        width = trial.suggest_int("width", 1, 20)
        if width == 7:
            raise RuntimeError("seven")
        return nn.Sequential(nn.Flatten(), nn.Linear(48, width))

    space = zcfast.Space(build, example=(torch.randn(2, 3, 4, 4), torch.zeros(2, dtype=torch.int64)))
    rank = search.predictor(space, [0, 9, 19], [1.0, 2.0, 3.0]).rank(space, space.enumerate())
    assert rank.isnan().nonzero()[:, 0].tolist() == [6]
    with pytest.raises(ValueError, match="rows: expected networks that can be built, got one that cannot"):
        search.predictor(space, [0, 6], [1.0, 2.0])


@pytest.mark.slow
@pytest.mark.parametrize(("metric", "aim"), [("test_cifar10", 0.17), ("test_cifar100", 0.18)])
def test_picks_from_a_hundred_trainings(metric, aim):
    space = zcfast.space("nasbench201")
    latency = np.load(shared_data("latency/nasbench201_ms.npz"))
    accuracies = zcfast.table(space, shared_data("nasbench201/accuracies.npz"))[metric]
    limits = [(latency[device], most) for device, each in LIMITS.items() for most in each]
    cells, found = space.enumerate(), []
    for seed in range(10):
        rows = drawn(100, len(space), seed)
        predictor = search.predictor(space, rows, accuracies[rows])
        found.append(regret(lambda at, p=predictor: p.rank(space, cells[at]), accuracies, limits, picks=(10,)).mean)
    assert float(torch.cat(found).mean()) <= aim
