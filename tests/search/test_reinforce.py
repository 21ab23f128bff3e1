import math

import pytest
import torch

from zcfast import search
from zcfast.search.decisions import decisions_of, rows_of_choices
from zcfast.search.reinforce import _draw, _scaled
from zcfast.search.state import replace
from zcfast.spaces import space
from zcfast.testing import AlgorithmContract
from zcfast.testing.algorithm import advance, drawn_accuracies, drawn_scores

SPACES = (pytest.param("nasbench101", marks=pytest.mark.slow), "nasbench201")


class TestReinforce(AlgorithmContract):
    spaces = SPACES
    repeats = True
    steps = 40
    warm = 60
    ratio = 2

    def make(self):
        return search.reinforce()


@pytest.mark.parametrize("name", ["nasbench101", "nasbench201"])
def test_a_step_follows_the_gradient(name):
    """The step equals that of autograd on the advantage's log-probability and the entropy."""
    algorithm = search.reinforce(rate=0.3, decay=0.8, entropy=0.2)
    state = algorithm.init(name, runs=4)
    noise = torch.randn(state.logits.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    baseline = torch.tensor([0.1, -0.2, 0.3, 0.0], dtype=torch.float64)
    bounds = torch.tensor([[0.0, 10.0]] * 4, dtype=torch.float64)
    state = replace(state, logits=state.logits + noise, baseline=baseline, accuracy_range=bounds)
    rows, asked = algorithm.ask(state)
    accuracies = torch.tensor([2.0, 5.0, 9.0, torch.nan], dtype=torch.float64)
    told = algorithm.tell(asked, rows, accuracies)
    rewards = torch.tensor([-0.6, 0.0, 0.8], dtype=torch.float64)
    for run in range(3):
        objective, logits = torch.zeros((), dtype=torch.float64), []
        for d, size in enumerate(decisions_of(name).sizes):
            t = state.logits[run, d, :size].clone().requires_grad_()
            p = torch.softmax(t, 0)
            choice = asked.pending_choices[run, 0, d]
            objective = objective + (rewards[run] - baseline[run]) * p[choice].log() - 0.2 * (p * p.log()).sum()
            logits.append(t)
        for d, gradient in enumerate(torch.autograd.grad(objective, logits)):
            expected = state.logits[run, d, : len(gradient)] + 0.3 * gradient
            torch.testing.assert_close(told.logits[run, d, : len(gradient)], expected)
            assert (told.logits[run, d, len(gradient) :] == -torch.inf).all()
    assert torch.equal(told.logits[3], state.logits[3])
    torch.testing.assert_close(told.baseline[:3], baseline[:3] + 0.2 * (rewards - baseline[:3]))
    assert told.baseline[3] == baseline[3]


def test_draws_follow_the_policy():
    algorithm = search.reinforce()
    state = algorithm.init("nasbench201", runs=20_000)
    logits = torch.randn(6, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    rows, choices = _draw(replace(state, logits=logits.expand(20_000, -1, -1)), state.streams, 0)
    assert torch.equal(space("nasbench201").enumerate().operations[rows].long(), choices)
    for d in range(6):
        share = torch.bincount(choices[:, d], minlength=5) / 20_000
        assert (share - torch.softmax(logits[d], 0)).abs().max() < 0.018


def test_draws_of_nasbench101_are_valid_encodings_of_their_rows():
    state = search.reinforce().init("nasbench101", runs=3000)
    rows, choices = _draw(state, state.streams, 0)
    assert torch.equal(rows_of_choices("nasbench101", choices), rows)
    edges = choices[:, :21].double().mean(0)
    assert (edges < 0.55).all()  # more than nine edges are rare among the valid ones, and half of all draws


def test_policies_with_few_valid_encodings_draw_on_beside_the_others():
    state = search.reinforce().init("nasbench101", runs=40)
    logits = state.logits.clone()
    logits[1::2, :21, 0] = 2.5  # edges are rare
    rows, choices = _draw(replace(state, logits=logits), state.streams, 0)
    assert torch.equal(rows_of_choices("nasbench101", choices), rows)
    alone = search.reinforce().init("nasbench101", runs=1, first_run=39)
    assert _draw(replace(alone, logits=logits[39:]), alone.streams, 0)[0] == rows[39]


def test_a_policy_of_invalid_encodings_takes_random_architectures():
    algorithm = search.reinforce()
    state = algorithm.init("nasbench101", runs=50)
    logits = state.logits.clone()
    logits[:, :21, 0] = 1000.0  # no edge at all
    rows, asked = algorithm.ask(replace(state, logits=logits))
    assert len(rows.unique()) == 50
    told = algorithm.tell(asked, rows, torch.rand(50))
    assert torch.equal(told.logits, logits)


def test_rewards_are_scaled_by_the_running_range():
    bounds = torch.tensor([[torch.inf, -torch.inf]] * 3, dtype=torch.float64)
    bounds, rewards = _scaled(bounds, torch.tensor([3.0, torch.nan, -torch.inf], dtype=torch.float64))
    assert rewards.nan_to_num(7).tolist() == [0, 7, -1]
    bounds, rewards = _scaled(bounds, torch.tensor([5.0, 2.0, 4.0], dtype=torch.float64))
    assert rewards.tolist() == [1, 0, 0]
    bounds, rewards = _scaled(bounds, torch.tensor([4.5, 6.0, 3.0], dtype=torch.float64))
    assert rewards.tolist() == [0.5, 1, -1]
    assert bounds.tolist() == [[3, 5], [2, 6], [3, 4]]


def test_it_learns_what_accuracies_reward():
    accuracies = (space("nasbench201").enumerate().operations == 3).sum(1).double()
    algorithm = search.reinforce()
    rows, _ = advance(algorithm, algorithm.init("nasbench201", runs=20), accuracies, 300)
    assert accuracies[rows[:, -20:]].mean() > accuracies[rows[:, :20]].mean() + 2


def test_moves_take_steps_by_the_scores_between_trainings():
    scores, accuracies = drawn_scores("nasbench201"), drawn_accuracies("nasbench201")
    algorithm = search.warmup(search.move_proposal(search.reinforce(), scores, 7), scores, 30)
    _, state = advance(algorithm, algorithm.init("nasbench201", runs=2), accuracies, 5)
    assert state.proxied == 30 + 7 * 4


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: search.reinforce(rate=0),
            "rate, decay and entropy: expected > 0, 0 to 1 and >= 0, all finite, got 0,",
        ),
        (lambda: search.reinforce(rate=math.inf), "rate, decay and entropy: expected > 0"),
        *(
            (
                lambda ratio=ratio: search.move_proposal(search.reinforce(), drawn_scores("nasbench201"), ratio),
                f"ratio: expected how many scores go between two accuracies, 1, 2, ..., got {ratio}",
            )
            for ratio in (0.5, 2.5, math.nan, math.inf)
        ),
    ],
)
def test_bad_numbers(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_rows_that_were_not_asked_are_refused():
    algorithm = search.reinforce()
    rows, state = algorithm.ask(algorithm.init("nasbench201", runs=2))
    with pytest.raises(ValueError, match="rows: expected rows that were asked and not yet told, got others"):
        algorithm.tell(state, (rows + 1) % 15_625, torch.zeros(2))
