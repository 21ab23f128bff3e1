"""Search by regression on closed-form features: a Gaussian process says which architecture to train next."""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from typing import ClassVar

import torch
from torch import Tensor

from zcfast.search.algorithm import Algorithm
from zcfast.search.gaussian_process import GaussianProcess, normal_scores
from zcfast.search.proxy import Proxy
from zcfast.search.state import SearchState, replace
from zcfast.search.streams import Streams
from zcfast.space_scoring import score_space
from zcfast.spaces import space as named_space

DIGITS = 9  # behind the point, of what is compared: architectures with equal features stay equal
RELATIONS = {"nasbench101": "wide", "nasbench201": "operations"}


@dataclasses.dataclass(frozen=True)
class RegressorState(SearchState):
    """rows: int64 [R, asked], what was proposed.

    accuracies: float64 [R, asked], NaN for what failed or is still in training. pending: bool [R, asked], the latter.
    """

    rows: Tensor
    accuracies: Tensor
    pending: Tensor


@dataclasses.dataclass(frozen=True, kw_only=True)
class Regressor(Algorithm[RegressorState]):
    """Trains the candidate with the highest upper confidence bound of a Gaussian process.

    The process predicts the normal scores of accuracies from the path statistics of the cell (`features`). After
    `first` random architectures the candidates are `candidates` random ones, or the whole space if it is smaller, and
    the neighbours of the `centres` trained ones with the highest posterior mean; on NAS-Bench-101 by the "wide"
    relation. What is still in training counts as observed at its mean, so several can be asked at once. Nothing is
    trained twice, and a failed training says nothing.

    With warm-up the first trainings are the best-scored of n random architectures, and the normal scores of the score
    are one more feature.

    Attributes:
        first: how many trainings come before the first model, >= 1.
        candidates: how many random architectures are candidates, >= 1.
        centres: how many trained architectures have their neighbours among the candidates, >= 0.
        optimism: how many posterior standard deviations are added to the mean, >= 0.

    Source: zcfast, docs/search.md; Srinivas et al., "Gaussian Process Optimization in the Bandit Setting", ICML 2010.
    """

    name: ClassVar[str] = "regressor"
    state: ClassVar[type[SearchState]] = RegressorState

    first: int = 20
    candidates: int = 20_000
    centres: int = 5
    optimism: float = 0.5

    def __post_init__(self) -> None:
        """Check the options."""
        for name, least in (("first", 1), ("candidates", 1), ("centres", 0), ("optimism", 0)):
            if not getattr(self, name) >= least:
                raise ValueError(f"{name}: expected a number >= {least}, got {getattr(self, name)}")

    def incumbent(self, state: RegressorState) -> Tensor:
        """The trained architecture with the highest posterior mean, int64 [R]; -1 where no training has succeeded.

        Where accuracies are noisy it is a better choice than the one with the highest accuracy.
        """
        known = features(state.space, self.initial)
        none = torch.full((1,), -1)
        best = [_best_trained(state, run, self._model(state, run, known), known) for run in range(state.runs)]
        return torch.stack([torch.cat([rows, none])[0] for rows in best]).to(state.device)

    def _init(self, state: SearchState) -> RegressorState:
        rows = state.streams.keys.new_empty(state.runs, 0)
        return RegressorState(state.space, state.streams, 0, 0, rows, rows.double(), rows.bool())

    def _ask(self, state: RegressorState) -> tuple[Tensor, RegressorState]:
        size = len(named_space(state.space))
        if state.asked >= size:
            raise ValueError(f"ask: expected at most {size} times, the size of the space, got one more")
        rows = self._first_row(state) if state.asked < self.first else self._best_candidates(state)
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

    def _best_candidates(self, state: RegressorState) -> Tensor:
        """The untrained candidate with the highest bound, int64 [R]; of equal ones the first of a random order."""
        space, known = named_space(state.space), features(state.space, self.initial)
        models = [self._model(state, run, known) for run in range(state.runs)]
        centres = [_best_trained(state, run, model, known)[: self.centres] for run, model in enumerate(models)]
        near = space.neighbours(space.enumerate()[torch.cat(centres)], RELATIONS[state.space])
        ends = near.offsets[torch.tensor([0, *(len(each) for each in centres)]).cumsum(0)].tolist()
        drawn = self._drawn(state, len(space)).cpu()
        chosen = []
        for run, model in enumerate(models):
            rows = torch.cat([drawn[run], near.ids[ends[run] : ends[run + 1]]])
            rows = rows[~torch.isin(rows, state.rows[run].cpu())]
            if model is None:
                chosen.append(rows[0])
                continue
            waiting = state.rows[run, state.pending[run]].cpu()
            bound = model.expecting(known[waiting]).upper_bound(known[rows], self.optimism)
            chosen.append(rows[bound.round(decimals=DIGITS).argmax()])
        return torch.stack(chosen).to(state.device)

    def _drawn(self, state: RegressorState, size: int) -> Tensor:
        """The random candidates, int64 [R, C], enough for one to be untrained."""
        streams = Streams(state.streams.fork("candidates").bits(state.asked, 1)[:, 0])
        return streams.permutation(size, 0, min(max(self.candidates, state.asked + 1), size))

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
