"""Random search."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

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
    state: ClassVar[type[SearchState]] = RandomState

    def _init(self, state: SearchState) -> RandomState:
        return RandomState(state.space, state.streams, 0, 0, state.streams.keys.new_empty(state.runs, 0), 0)

    def _ask(self, state: RandomState) -> tuple[Tensor, RandomState]:
        if state.asked - state.first == state.queue.shape[1]:
            state = replace(state, queue=self._refill(state), first=state.asked)
        return state.queue[:, state.asked - state.first], state

    def _tell(self, state: RandomState, rows: Tensor, accuracies: Tensor) -> RandomState:
        return state

    def _refill(self, state: RandomState) -> Tensor:
        size, asked = len(named_space(state.space)), state.asked
        warm = 0 if self.initial is None else int(self.initial.amount)
        if asked >= size:
            raise ValueError(f"ask: expected at most {size} times, the size of the space, got one more")
        if self.initial is not None and asked < warm:
            return self.initial.best_of_random(state.streams, warm)
        return state.streams.permutation(size, asked, min(asked + BLOCK, size))
