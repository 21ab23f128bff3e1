"""Search by regression: a Gaussian process on the path statistics of every cell proposes the next training."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import torch
from torch import Tensor

from zcfast.expected.path_statistics import path_statistics
from zcfast.search.algorithm import Algorithm
from zcfast.search.gaussian_process import GaussianProcess, normal_scores
from zcfast.search.state import SearchState, replace
from zcfast.space_scoring import score_space
from zcfast.spaces import space as named_space

DIGITS = 9  # of the acquisition behind the point: cells with equal features are equal
RELATIONS = {"nasbench101": "wide", "nasbench201": "operations"}


@dataclass(frozen=True)
class RegressorState(SearchState):
    """rows: int64 [R, asked], what was proposed. accuracies: float64 [R, asked], NaN: failed or not told yet.

    pending: bool [R, asked], not told yet.
    """

    rows: Tensor
    accuracies: Tensor
    pending: Tensor


@dataclass(frozen=True, kw_only=True)
class Regressor(Algorithm[RegressorState]):
    """Trains the candidate with the highest upper confidence bound of a Gaussian process on the path statistics."""

    name: ClassVar[str] = "regressor"
    state: ClassVar[type[SearchState]] = RegressorState

    first: int = 20
    candidates: int = 2000
    centres: int = 5
    optimism: float = 0.5

    def _init(self, state: SearchState) -> RegressorState:
        rows = state.streams.keys.new_empty(state.runs, 0)
        return RegressorState(state.space, state.streams, 0, 0, rows, rows.double(), rows.bool())

    def _ask(self, state: RegressorState) -> tuple[Tensor, RegressorState]:
        rows = self._first(state) if state.asked < self.first else self._best_candidates(state)
        state = replace(
            state,
            rows=torch.cat([state.rows, rows[:, None]], 1),
            accuracies=torch.cat([state.accuracies, torch.full_like(rows, torch.nan, dtype=torch.float64)[:, None]], 1),
            pending=torch.cat([state.pending, torch.ones_like(rows, dtype=torch.bool)[:, None]], 1),
        )
        return rows, state

    def _tell(self, state: RegressorState, rows: Tensor, accuracies: Tensor) -> RegressorState:
        told = (state.rows == rows[:, None]) & state.pending
        return replace(
            state,
            accuracies=torch.where(told, accuracies[:, None], state.accuracies),
            pending=state.pending & ~told,
        )

    def _first(self, state: RegressorState) -> Tensor:
        if self.initial is None:
            return state.streams.permutation(len(named_space(state.space)), state.asked, state.asked + 1)[:, 0]
        return self.initial.best_of_random(state.streams, self.first)[:, state.asked]

    def _best_candidates(self, state: RegressorState) -> Tensor:
        space, known = named_space(state.space), features(state.space)
        size = len(space)
        models = [self._fit(state, run, known) for run in range(state.runs)]
        centres = torch.stack([self._centres(state, run, models[run], known) for run in range(state.runs)])
        near = space.neighbours(space.enumerate()[centres.flatten()], RELATIONS[state.space])
        draws = state.streams.fork("candidates").below(state.asked, self.candidates, size)
        chosen = []
        for run, model in enumerate(models):
            start, stop = near.offsets[run * self.centres], near.offsets[(run + 1) * self.centres]
            rows = torch.cat([near.ids[start:stop], draws[run]])
            rows = rows[~torch.isin(rows, state.rows[run])]
            mean, deviation = model.mean_and_deviation(known[rows])
            bound = (mean + self.optimism * deviation).round(decimals=DIGITS)
            chosen.append(rows[bound.argmax()])
        return torch.stack(chosen)

    def _fit(self, state, run, known):
        told = ~state.accuracies[run].isnan()
        rows, accuracies = state.rows[run, told], state.accuracies[run, told]
        return GaussianProcess.fit(known[rows], normal_scores(accuracies))

    def _centres(self, state, run, model, known):
        told = ~state.accuracies[run].isnan()
        rows = state.rows[run, told]
        mean = model.mean(known[rows]).round(decimals=DIGITS)
        return rows[mean.sort(descending=True, stable=True).indices[: self.centres]]


@cache
def features(name: str) -> Tensor:
    scores = score_space(name, ["path_statistics"])
    columns = []
    for column in scores.columns.values():
        finite = column[column.isfinite()]
        column = torch.where(column.isfinite(), column, finite.min())
        if finite.std() > 0:
            columns.append((column - column.mean()) / column.std())
    return torch.stack(columns, 1)
