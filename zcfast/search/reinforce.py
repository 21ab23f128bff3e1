"""REINFORCE on the decisions of an encoding."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from zcfast import search_ops
from zcfast.search.algorithm import Algorithm
from zcfast.search.decisions import decisions_of, rows_of_choices
from zcfast.search.proxy import Proxy
from zcfast.search.state import SearchState, replace
from zcfast.search.streams import Streams
from zcfast.spaces import space as named_space

CANDIDATES = 16  # encodings drawn at once, of which the first valid one is taken
ATTEMPTS = 64  # how often, before a run takes a random architecture instead


@dataclass(frozen=True)
class ReinforceState(SearchState):
    """logits: float64 [R, D, C], of each decision's options; -inf where it has fewer than C.

    baseline: float64 [R], the moving average of rewards.
    accuracy_range, score_range: float64 [R, 2], the lowest and the highest accuracy and score so far.
    pending_rows: int64 [R, Q], what was asked and not yet told; pending_choices: int64 [R, Q, D], as it was drawn, -1
    where it was not drawn from the policy.
    proxied: how many steps had scores as rewards.
    """

    of_rows: ClassVar[tuple[str, ...]] = ("pending_rows",)

    logits: Tensor
    baseline: Tensor
    accuracy_range: Tensor
    score_range: Tensor
    pending_rows: Tensor
    pending_choices: Tensor
    proxied: int


@dataclass(frozen=True, kw_only=True)
class Reinforce(Algorithm[ReinforceState]):
    """A policy that is a product of softmaxes, one for each decision of the encoding, moved by its rewards.

    The policy draws choices c = (c_1, ..., c_D), decision d with probabilities p_d = softmax(t_d). One step ascends

        J = E[r] + entropy * sum_d H(p_d),    H(p) = -sum_j p_j log p_j

    along an estimate of its gradient. By the identity grad E[r] = E[r grad log p(c)] (Williams 1992), which stays true
    for r - b with any b that does not depend on c, and with d log p_d(c_d) / d t_dj = 1[j = c_d] - p_dj and
    d H(p_d) / d t_dj = -p_dj (log p_dj + H(p_d)), the step is

        t_dj += rate * ((r - b) (1[j = c_d] - p_dj) - entropy * p_dj (log p_dj + H(p_d)))
        b    += (1 - decay) * (r - b)

    A reward is an accuracy on a scale from -1 to 1, of the run's lowest and highest so far; a failed training moves
    nothing. Encodings that are no architecture are drawn again, so that the policy is the product restricted to valid
    ones; the gradient of its normalisation is left out.

    Warm-up takes n such steps with scores as rewards, on a scale of their own from -1 to 1, before the first training;
    move proposal takes `ratio` of them between two trainings. A score of -inf has the reward -1.

    As published, an architecture may be drawn again, and its training counts: the policy comes to rest on one.

    Attributes:
        rate: of the steps, > 0.
        decay: of the moving average b, from 0 to 1.
        entropy: weight of the entropy, >= 0.

    Source: Williams, "Simple Statistical Gradient-Following Algorithms", Machine Learning 1992; warm-up and move
    proposal: Abdelfattah et al. 2021, section 5, with another controller. `rate` and `entropy` were chosen on
    NAS-Bench-201, CIFAR-100, among five and three values.
    """

    name: ClassVar[str] = "reinforce"
    definition: ClassVar[str] = "Draws from a policy, one softmax a decision, which moves by what was reached."
    state: ClassVar[type[SearchState]] = ReinforceState
    proposes_moves: ClassVar[bool] = True
    default_ratio: ClassVar[float] = 10

    rate: float = 0.5
    decay: float = 0.9
    entropy: float = 0.1

    def __post_init__(self) -> None:
        """Check the numbers."""
        if not 0 < self.rate < math.inf or not 0 <= self.decay <= 1 or not 0 <= self.entropy < math.inf:
            came = f"{self.rate}, {self.decay} and {self.entropy}"
            raise ValueError(f"rate, decay and entropy: expected > 0, 0 to 1 and >= 0, all finite, got {came}")

    def check_ratio(self, ratio: float) -> None:
        """A number of steps."""
        if not 1 <= ratio < math.inf or ratio != int(ratio):
            raise ValueError(f"ratio: expected how many scores go between two accuracies, 1, 2, ..., got {ratio}")

    def _init(self, state: SearchState) -> ReinforceState:
        available = decisions_of(state.space).available.to(state.device)
        logits = torch.where(available, 0.0, -torch.inf).double().expand(state.runs, -1, -1)
        empty = torch.tensor([torch.inf, -torch.inf], dtype=torch.float64, device=state.device).expand(state.runs, -1)
        own = ReinforceState(
            **vars(state),
            logits=logits,
            baseline=torch.zeros(state.runs, dtype=torch.float64, device=state.device),
            accuracy_range=empty,
            score_range=empty,
            pending_rows=state.streams.keys.new_empty(state.runs, 0),
            pending_choices=state.streams.keys.new_empty(state.runs, 0, len(available)),
            proxied=0,
        )
        return own if self.initial is None else self._proxied(own, self.initial, int(self.initial.amount))

    def _ask(self, state: ReinforceState) -> tuple[Tensor, ReinforceState]:
        if self.move is not None and state.asked:
            state = self._proxied(state, self.move, int(self.move.amount))
        rows, choices = _draw(state, state.streams.fork("accuracy"), state.asked)
        return rows, replace(
            state,
            pending_rows=torch.cat([state.pending_rows, rows[:, None]], 1),
            pending_choices=torch.cat([state.pending_choices, choices[:, None]], 1),
        )

    def _tell(self, state: ReinforceState, rows: Tensor, accuracies: Tensor) -> ReinforceState:
        asked = state.pending_rows == rows[:, None]
        if not asked.any(1).all():
            raise ValueError("rows: expected rows that were asked and not yet told, got others")
        first = asked & (asked.cumsum(1) == 1)
        choices = state.pending_choices[first]
        kept = len(rows), -1
        state = replace(
            state,
            pending_rows=state.pending_rows[~first].reshape(kept),
            pending_choices=state.pending_choices[~first].reshape(*kept, choices.shape[1]),
        )
        bounds, rewards = _scaled(state.accuracy_range, accuracies)
        return self._moved(replace(state, accuracy_range=bounds), choices, rewards)

    def _proxied(self, state: ReinforceState, proxy: Proxy, steps: int) -> ReinforceState:
        """The state after some steps with scores as rewards."""
        streams, scores = state.streams.fork("proxy"), proxy.scores.to(state.device)
        for _ in range(steps):
            rows, choices = _draw(state, streams, state.proxied)
            bounds, rewards = _scaled(state.score_range, scores[rows])
            state = self._moved(replace(state, score_range=bounds, proxied=state.proxied + 1), choices, rewards)
        return state

    def _moved(self, state: ReinforceState, choices: Tensor, rewards: Tensor) -> ReinforceState:
        """One step along the gradient; none where there is no reward or the choices are not the policy's."""
        counts = ~rewards.isnan() & (choices[:, 0] >= 0)
        advantage = torch.where(counts, rewards - state.baseline, 0.0)
        chosen = torch.nn.functional.one_hot(choices.clamp(min=0), state.logits.shape[2])
        logarithms = torch.log_softmax(state.logits, 2)
        p = torch.softmax(state.logits, 2)
        direction = advantage[:, None, None] * (chosen - p)
        if self.entropy:
            finite = logarithms.clamp(min=torch.finfo(torch.float64).min)  # p log p is 0 where p is
            entropy = -(p * finite).sum(2, keepdim=True)
            direction = direction - self.entropy * p * (finite + entropy)
        return replace(
            state,
            logits=torch.where(counts[:, None, None], state.logits + self.rate * direction, state.logits),
            baseline=state.baseline + (1 - self.decay) * advantage,
        )


def _draw(state: ReinforceState, streams: Streams, step: int) -> tuple[Tensor, Tensor]:
    """A valid architecture of each run's policy: rows int64 [R], choices int64 [R, D]."""
    decisions = decisions_of(state.space)
    runs, size, options = state.logits.shape
    cumulative = torch.softmax(state.logits, 2).cumsum(2)[..., : options - 1]
    last = torch.tensor(decisions.sizes, device=state.device) - 1
    rows = torch.full((runs,), -1, device=state.device)
    choices = torch.full((runs, size), -1, device=state.device)
    # Some policies come to rest where hardly an encoding is valid. Only their runs draw again, twice as much each time.
    left, stop = torch.arange(runs, device=state.device), 1
    while len(left) and stop <= ATTEMPTS:
        own, attempts = Streams(streams.keys[left]), range(stop // 2, stop)
        bits = torch.cat([own.bits(step * ATTEMPTS + attempt, CANDIDATES * size) for attempt in attempts], 1)
        numbers = search_ops.unit_interval(bits).reshape(len(left), -1, size)
        drawn = torch.stack([numbers >= bound[left, None] for bound in cumulative.unbind(2)]).sum(0).minimum(last)
        found = rows_of_choices(state.space, drawn)
        first = (found >= 0).int().argmax(1)
        each = torch.arange(len(left), device=state.device)
        rows[left] = found[each, first]
        valid = rows[left] >= 0
        choices[left[valid]] = drawn[each, first][valid]
        left, stop = left[~valid], 2 * stop
    strangers = search_ops.numbers_below(streams.fork("stranger").bits(step, 1)[:, 0], len(named_space(state.space)))
    return torch.where(rows >= 0, rows, strangers), choices


def _scaled(bounds: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """The bounds [R, 2] with values [R] in, and the values on the scale from -1 to 1 between them; 0 if they meet."""
    finite = values.isfinite()
    low = torch.minimum(bounds[:, 0], torch.where(finite, values, torch.inf))
    high = torch.maximum(bounds[:, 1], torch.where(finite, values, -torch.inf))
    rewards = torch.where(high > low, 2 * (values - low) / (high - low) - 1, torch.where(finite, 0.0, torch.nan))
    return torch.stack([low, high], 1), torch.where(values == -torch.inf, -1.0, rewards)
