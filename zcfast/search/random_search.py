"""Random search."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from zcfast.search.algorithm import Algorithm
from zcfast.search.state import SearchState, replace
from zcfast.spaces import space as named_space

BLOCK = 256  # proposals that are drawn at once


@dataclass(frozen=True)
class RandomState(SearchState):
    """queue: int64 [R, K], the next proposals; proposal `asked` is its column asked - first.

    first: the number of the proposal in column 0.
    """

    of_rows: ClassVar[tuple[str, ...]] = ("queue",)

    queue: Tensor
    first: int


@dataclass(frozen=True, kw_only=True)
class RandomSearch(Algorithm[RandomState]):
    """Architectures in a uniformly random order, none twice.

    With warm-up the first n are trained in the order of their scores. The published example draws with replacement,
    so that it may train an architecture again; here a run is a random order of the space.
    Source: Abdelfattah et al. 2021, section 5; Li and Talwalkar, "Random Search and Reproducibility for NAS", UAI 2019.
    """

    name: ClassVar[str] = "random_search"
    definition: ClassVar[str] = "Trains architectures in a uniformly random order, none twice."
    state: ClassVar[type[SearchState]] = RandomState
    look_ups: ClassVar[int] = BLOCK

    def advance(self, state: RandomState, accuracies: Tensor, steps: int) -> tuple[Tensor, RandomState]:
        """See `Algorithm.advance`: no step depends on what another one reached."""
        size = len(named_space(state.space))
        if state.asked != state.told or len(accuracies) != size or state.asked + steps > size:
            return super().advance(state, accuracies, steps)
        parts, done = list[Tensor](), state.asked + steps
        while state.asked < done:
            state = self._with_queue(state)
            part = state.queue[:, state.asked - state.first :][:, : done - state.asked]
            asked = state.asked + part.shape[1]
            parts, state = [*parts, part], replace(state, asked=asked, told=asked)
        return torch.cat(parts, 1) if parts else state.queue[:, :0], state

    def _init(self, state: SearchState) -> RandomState:
        return RandomState(state.space, state.streams, 0, 0, state.streams.keys.new_empty(state.runs, 0), 0)

    def _ask(self, state: RandomState) -> tuple[Tensor, RandomState]:
        state = self._with_queue(state)
        return state.queue[:, state.asked - state.first], state

    def _tell(self, state: RandomState, rows: Tensor, accuracies: Tensor) -> RandomState:
        return state

    def _with_queue(self, state: RandomState) -> RandomState:
        """The state with a proposal to come."""
        if state.asked - state.first < state.queue.shape[1]:
            return state
        return replace(state, queue=self._refill(state), first=state.asked)

    def _refill(self, state: RandomState) -> Tensor:
        size, asked = len(named_space(state.space)), state.asked
        warm = 0 if self.initial is None else int(self.initial.amount)
        if asked >= size:
            raise ValueError(f"ask: expected at most {size} times, the size of the space, got one more")
        if self.initial is not None and asked < warm:
            return self.initial.best_of_random(state.streams, warm)
        return state.streams.permutation(size, asked, min(asked + BLOCK, size))
