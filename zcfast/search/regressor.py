"""Search by regression on closed-form features: a Gaussian process says which architecture to train next."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from functools import lru_cache
from typing import ClassVar

import torch
from torch import Tensor

from zcfast.errors import integer
from zcfast.scoring.space import score_space
from zcfast.search.algorithm import Algorithm
from zcfast.search.gaussian_process import GaussianProcess, normal_scores
from zcfast.search.proxy import Proxy
from zcfast.search.state import SearchState, replace
from zcfast.search.streams import Streams
from zcfast.spaces import Capability, ClosedForms
from zcfast.spaces import space as named_space

DIGITS = 9  # behind the point, of what is compared: architectures with equal features stay equal
WHOLE = 20_000  # up to this size all of a space are candidates


@dataclasses.dataclass(frozen=True)
class RegressorState(SearchState):
    """rows: int64 [R, asked], what was proposed.

    accuracies: float64 [R, asked], NaN for what failed or is still in training. pending: bool [R, asked], the latter.
    pool: int64 [R, K], the candidates. due: how often is asked before they are chosen anew.
    """

    of_rows: ClassVar[tuple[str, ...]] = ("rows", "pool")

    rows: Tensor
    accuracies: Tensor
    pending: Tensor
    pool: Tensor
    due: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Regressor(Algorithm[RegressorState]):
    """Trains the architecture with the highest upper confidence bound of a Gaussian process.

    The process predicts the normal scores of accuracies from the path statistics of the cell (`features`). It is asked
    for the first time after `first` random architectures. All of a space of up to 20,000 are candidates; of a larger
    one those with the highest bounds, chosen anew from the whole space whenever half as many more have been asked. What
    is still in training counts as observed at its mean, so several can be asked at once. Nothing is trained twice, and
    a failed training says nothing.

    With warm-up the first trainings are the best-scored of n random architectures, and the normal scores of the score
    are one more feature.

    Attributes:
        first: how many trainings come before the first model, >= 1.
        candidates: how many untrained architectures of a large space are candidates, >= 1.
        optimism: how many posterior standard deviations are added to the mean, >= 0.

    Source: zcfast, docs/search.md; Srinivas et al., "Gaussian Process Optimization in the Bandit Setting", ICML 2010.
    """

    name: ClassVar[str] = "regressor"
    definition: ClassVar[str] = "Trains the highest upper confidence bound of a Gaussian process."
    state: ClassVar[type[SearchState]] = RegressorState
    needs: ClassVar[tuple[type[Capability], ...]] = (ClosedForms,)

    first: int = 20
    candidates: int = 5_000
    optimism: float = 0.5

    def __post_init__(self) -> None:
        """Check the options."""
        for name in ("first", "candidates"):
            if integer(name, getattr(self, name)) < 1:
                raise ValueError(f"{name}: expected a number >= 1, got {getattr(self, name)}")
        if not 0 <= self.optimism < math.inf:
            raise ValueError(f"optimism: expected a finite number >= 0, got {self.optimism}")

    def incumbent(self, state: RegressorState) -> Tensor:
        """The trained architecture with the highest posterior mean, int64 [R]; -1 where no training has succeeded.

        Where accuracies are noisy it can be a better choice than the one with the highest accuracy.
        """
        known = features(state.space, self.initial)
        none = torch.full((1,), -1)
        best = [_best_trained(state, run, self._model(state, run, known), known) for run in range(state.runs)]
        return torch.stack([torch.cat([rows, none])[0] for rows in best]).to(state.device)

    def _init(self, state: SearchState) -> RegressorState:
        rows = state.streams.keys.new_empty(state.runs, 0)
        return RegressorState(state.space, state.streams, 0, 0, rows, rows.double(), rows.bool(), rows, self.first)

    def _ask(self, state: RegressorState) -> tuple[Tensor, RegressorState]:
        size = len(named_space(state.space))
        if state.asked >= size:
            raise ValueError(f"ask: expected at most {size} times, the size of the space, got one more")
        if state.asked < self.first:
            rows = self._first_row(state)
        else:
            known = features(state.space, self.initial)
            models = [self._model(state, run, known) for run in range(state.runs)]
            state = self._screened(state, models, known) if state.asked >= state.due else state
            rows = self._best_candidates(state, models, known)
        column = rows[:, None]
        return rows, replace(
            state,
            rows=torch.cat([state.rows, column], 1),
            accuracies=torch.cat([state.accuracies, torch.full_like(column, torch.nan, dtype=torch.float64)], 1),
            pending=torch.cat([state.pending, torch.ones_like(column, dtype=torch.bool)], 1),
        )

    def _tell(self, state: RegressorState, rows: Tensor, accuracies: Tensor) -> RegressorState:
        told = (state.rows == rows[:, None]) & state.pending
        kept = torch.where(told, accuracies[:, None], state.accuracies)
        return replace(state, accuracies=kept, pending=state.pending & ~told)

    def _first_row(self, state: RegressorState) -> Tensor:
        if self.initial is not None and state.asked < self.initial.amount:
            count = min(self.first, int(self.initial.amount))
            return self.initial.best_of_random(state.streams, count)[:, state.asked]
        return state.streams.permutation(len(named_space(state.space)), state.asked, state.asked + 1)[:, 0]

    def _screened(
        self, state: RegressorState, models: Sequence[GaussianProcess | None], known: Tensor
    ) -> RegressorState:
        """The state with new candidates: those with the highest bounds, random ones where there is no model."""
        size, due = len(known), state.asked + max(state.asked // 2, 1)
        if size <= WHOLE:
            return replace(state, pool=torch.arange(size, device=state.device).expand(state.runs, -1), due=size)
        count = min(self.candidates + due, size)  # as many of them may have been trained before the next time
        pool = state.streams.permutation(size, 0, count)
        for run, model in enumerate(models):
            if model is not None:
                bounds = model.upper_bound(known, self.optimism).round(decimals=DIGITS)
                pool[run] = bounds.sort(descending=True, stable=True).indices[:count]
        return replace(state, pool=pool, due=due)

    def _best_candidates(
        self, state: RegressorState, models: Sequence[GaussianProcess | None], known: Tensor
    ) -> Tensor:
        """The untrained candidate with the highest bound, int64 [R]; of equal ones the first of a random order."""
        streams, count = Streams(state.streams.fork("candidates").bits(state.asked, 1)[:, 0]), state.pool.shape[1]
        pool = state.pool.gather(1, streams.permutation(count, 0, count)).cpu()
        chosen = []
        for run, model in enumerate(models):
            rows = pool[run][~torch.isin(pool[run], state.rows[run].cpu())]
            if model is None:
                chosen.append(rows[0])
                continue
            waiting = state.rows[run, state.pending[run]].cpu()
            bound = model.expecting(known[waiting]).upper_bound(known[rows], self.optimism)
            chosen.append(rows[bound.round(decimals=DIGITS).argmax()])
        return torch.stack(chosen).to(state.device)

    def _model(self, state: RegressorState, run: int, known: Tensor) -> GaussianProcess | None:
        """What the run's accuracies say; None if there is none."""
        told = ~state.accuracies[run].isnan()
        if not told.any():
            return None
        rows, accuracies = state.rows[run, told].cpu(), state.accuracies[run, told].cpu()
        return GaussianProcess.fit(known[rows], normal_scores(accuracies))


def _best_trained(state: RegressorState, run: int, model: GaussianProcess | None, known: Tensor) -> Tensor:
    """The rows that a run has trained with success, int64 [n], from the highest posterior mean to the lowest."""
    rows = state.rows[run, ~state.accuracies[run].isnan()].cpu()
    if model is None:
        return rows
    means = model.mean(known[rows]).round(decimals=DIGITS)
    return rows[means.sort(descending=True, stable=True).indices]


@lru_cache(maxsize=4)
def features(space: str, proxy: Proxy | None = None) -> Tensor:
    """The path statistics of every cell, each with mean 0 and variance 1 over the space, float64 [N, D].

    Where a statistic is NaN or -inf, for want of a path, it is the lowest there is. Columns without variance are left
    out. The normal scores of a proxy, if there is one, are the last column; NaN ranks last.
    """
    columns = []
    for column in score_space(space, ["path_statistics"]).columns.values():
        finite = column.isfinite()
        column = torch.where(finite, column, column[finite].min())
        deviation = column.std()
        if deviation > 0:
            columns.append((column - column.mean()) / deviation)
    if proxy is not None:
        columns.append(normal_scores(proxy.scores.nan_to_num(-torch.inf, torch.inf, -torch.inf)))
    return torch.stack(columns, 1)
