import pytest
import torch

from zcfast import search
from zcfast.search.cell_graphs import GLOBAL, cell_graphs, count_types
from zcfast.search.pairwise import PairwiseNetwork
from zcfast.search.streams import Streams
from zcfast.spaces import space
from zcfast.testing import AlgorithmContract
from zcfast.testing.algorithm import advance, drawn_accuracies, drawn_scores

INPUT, OUTPUT, OPERATION = 0, 1, 3


SPACES = (pytest.param("nasbench101", marks=pytest.mark.slow), "nasbench201")


class TestBinaryPredictor(AlgorithmContract):
    spaces = SPACES
    steps = 25
    warm = 60

    def make(self):
        return search.binary_predictor(batch=5, candidates=300, hidden=16, layers=2, steps=8, rate=0.02)


def test_graphs_of_nasbench101_are_those_of_the_original_matrices():
    rows = torch.tensor([0, 5, 2000, 100_000, 423_623])
    types, edges = cell_graphs("nasbench101", rows)
    for row, kinds, weights in zip(rows, types, edges, strict=True):
        matrix, names = space("nasbench101").to_matrices(space("nasbench101").enumerate()[row])[0]
        n = len(names)
        codes = {"conv3x3-bn-relu": 0, "conv1x1-bn-relu": 1, "maxpool3x3": 2}
        assert kinds.tolist() == [
            INPUT, *(OPERATION + codes[name] for name in names[1:-1]), OUTPUT, *[-1] * (7 - n), GLOBAL
        ]  # fmt: skip
        expected = torch.eye(8)
        expected[:n, :n] += torch.from_numpy(matrix).T
        expected[7, :n] += 1
        torch.testing.assert_close(weights, expected / expected.sum(1, keepdim=True))


def test_graphs_of_nasbench201_follow_the_edges():
    row = space("nasbench201").index(
        space("nasbench201").parse("|none~0|+|skip_connect~0|nor_conv_1x1~1|+|nor_conv_3x3~0|avg_pool_3x3~1|none~2|")
    )
    types, edges = cell_graphs("nasbench201", row)
    assert types.tolist() == [[INPUT, 3, 4, 5, 6, 7, 3, OUTPUT, GLOBAL]]
    sources = [(edges[0, node] > 0).nonzero().flatten().tolist() for node in range(9)]
    # Operations 1 to 6 lie on 0->1, 0->2, 1->2, 0->3, 1->3, 2->3.
    assert sources == [[0], [0, 1], [0, 2], [1, 3], [0, 4], [1, 5], [2, 3, 6], [4, 5, 6, 7], list(range(9))]
    torch.testing.assert_close(edges.sum(2), torch.ones(1, 9))


@pytest.mark.parametrize("name", ["nasbench101", "nasbench201"])
def test_a_network_equals_one_written_for_a_single_cell(name):
    network = PairwiseNetwork(name, layers=2, hidden=5)
    parameters = network.drawn(Streams.of(0, 3))
    parameters = parameters + torch.randn(parameters.shape, generator=torch.Generator().manual_seed(1)) / 10
    rows = torch.randint(len(space(name)), (3, 700), generator=torch.Generator().manual_seed(0))
    scores = network.scores(parameters, rows)
    types, edges = cell_graphs(name, rows[1, 650:651])
    kinds, place = count_types(name), 0
    h = torch.zeros(types.shape[1], kinds, dtype=torch.float64)
    for node, kind in enumerate(types[0].tolist()):
        if kind >= 0:
            h[node, kind] = 1
    for width in (kinds, 5):
        weight = parameters[1, place : place + width * 5].reshape(width, 5)
        bias = parameters[1, place + width * 5 : place + width * 5 + 5]
        place += width * 5 + 5
        h = torch.relu(edges[0].double() @ h @ weight + bias)
    torch.testing.assert_close(scores[1, 650], h[-1] @ parameters[1, place:], rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", ["nasbench101", "nasbench201"])
def test_training_equals_that_of_torch(name, monkeypatch):
    """Of one run, with matrices that are not rounded, and the loss and AdamW of PyTorch."""
    network = PairwiseNetwork(name, layers=2, hidden=5)
    first = network.drawn(Streams.of(0, 2))
    rows = Streams.of(1, 2).permutation(len(space(name)), 0, 30)
    values = drawn_accuracies(name)[rows]
    trained = network.trained(first, rows, values, Streams.of(2, 2), steps=4, batch=30, rate=0.01)

    monkeypatch.setattr("zcfast.search.exact.product", torch.bmm)
    parameters = first[1:].clone().requires_grad_()
    optimiser = torch.optim.AdamW([parameters], lr=0.01, weight_decay=5e-4)
    i, j = (values[1][:, None] > values[1]).nonzero().unbind(1)
    for _ in range(4):
        optimiser.zero_grad()
        scores = network.scores(parameters, rows[1:])[0]
        torch.nn.functional.softplus(scores[j] - scores[i]).mean().backward()
        optimiser.step()
    # What all scores have in common has no gradient but what rounding leaves, which AdamW scales up.
    before, ours, theirs = (
        scores - scores.mean()
        for scores in (network.scores(each, rows[1:])[0] for each in (first[1:], trained[1:], parameters))
    )
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-3)
    assert (ours - before).abs().max() > 0.05


@pytest.mark.parametrize("name", ["nasbench101", "nasbench201"])
@pytest.mark.slow
def test_training_learns_an_order(name):
    """From half of 400 cells the order of the others, by parameters."""
    network = PairwiseNetwork(name, layers=3, hidden=32)
    rows = Streams.of(0, 2).permutation(len(space(name)), 0, 400)
    sizes = space(name).params(space(name).enumerate()).double()
    parameters = network.trained(
        network.drawn(Streams.of(1, 2)), rows[:, :200], sizes[rows[:, :200]], Streams.of(2, 2), steps=150, batch=64,
        rate=0.01,
    )  # fmt: skip
    scores, values = network.scores(parameters, rows[:, 200:]), sizes[rows[:, 200:]]
    better = values[:, :, None] > values[:, None, :]
    right = (scores[:, :, None] > scores[:, None, :])[better].double().mean()
    assert right > 0.85


@pytest.mark.slow
def test_half_of_a_batch_are_the_best_ranked_and_nan_counts_for_nothing():
    algorithm = search.binary_predictor(batch=8, hidden=16, layers=2, steps=5)
    accuracies = drawn_accuracies("nasbench201", 0.5)
    _, state = advance(algorithm, algorithm.init("nasbench201", runs=3), accuracies, 8)
    _, asked = algorithm.ask(state)
    network = PairwiseNetwork("nasbench201", 2, 16)
    every = torch.arange(15_625).expand(3, -1)
    scores = network.scores(asked.parameters, every)
    for run in range(3):
        free = torch.ones(15_625, dtype=torch.bool).index_fill(0, asked.handed[run, :8], False)
        lowest_best = scores[run, asked.handed[run, 8:12]].min()
        assert int((scores[run, free] > lowest_best).sum()) < 4
        among = int((scores[run, free] > scores[run, asked.handed[run, 12:]].min()).sum())
        assert 4 < among <= 15_625 // 2
    failed = algorithm.tell(asked, asked.handed[:, 8], torch.full((3,), torch.nan))
    assert failed.parameters.isfinite().all()


@pytest.mark.slow
def test_every_architecture_once_until_the_space_is_used_up(monkeypatch):
    algorithm = search.binary_predictor(batch=4000, candidates=5000, hidden=4, layers=1, steps=1)
    accuracies = drawn_accuracies("nasbench201")
    rows, state = advance(algorithm, algorithm.init("nasbench201", runs=1), accuracies, 15_625)
    assert torch.equal(rows[0].sort().values, torch.arange(15_625))
    with pytest.raises(ValueError, match="ask: expected at most 15625 times, the size of the space"):
        algorithm.ask(state)


@pytest.mark.slow
def test_it_finds_more_than_random_search():
    accuracies = ((space("nasbench201").enumerate().operations == 3) * torch.arange(1, 7)).sum(1).double()
    best = {}
    for algorithm in (search.binary_predictor(hidden=32, steps=40), search.random_search()):
        rows, _ = advance(algorithm, algorithm.init("nasbench201", runs=4), accuracies, 60)
        best[algorithm.name] = accuracies[rows].amax(1).mean()
    assert best["binary_predictor"] > best["random_search"] + 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch": 0}, "batch: expected a number >= 1, got 0"),
        ({"hidden": 1.5}, "hidden: expected an integer, got 1.5"),
        ({"candidates": 5}, "candidates: expected at least 10, the batch, got 5"),
        ({"rate": 0}, "rate: expected a number > 0, got 0"),
    ],
)
def test_bad_numbers(options, message):
    with pytest.raises(ValueError, match=message):
        search.binary_predictor(**options)


def test_it_takes_no_moves():
    with pytest.raises(ValueError, match="got binary_predictor"):
        search.move_proposal(search.binary_predictor(), drawn_scores("nasbench201"))
