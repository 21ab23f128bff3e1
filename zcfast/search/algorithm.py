"""What every search algorithm offers: init, ask, tell on R runs at once."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Generic, TypeVar

import torch
from torch import Tensor

from zcfast.devices import present_device
from zcfast.errors import integer
from zcfast.search.listed import listed_space
from zcfast.search.proxy import Proxy
from zcfast.search.state import SearchState, replace
from zcfast.search.streams import Streams
from zcfast.spaces import Capability, SearchSpace
from zcfast.spaces import space as named_space

StateT = TypeVar("StateT", bound=SearchState)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Algorithm(ABC, Generic[StateT]):
    """A rule that proposes which architecture each of R runs trains next. It holds options and no state.

        state = algorithm.init("nasbench201", runs=32, seed=0)
        for _ in range(300):
            rows, state = algorithm.ask(state)                        # int64 [32], one row of the space a run
            state = algorithm.tell(state, rows, accuracies_of(rows))  # float64 [32], higher is better, NaN: failed

    Run r makes the same proposals beside any number of other runs. A state may be asked several times before it is
    told, for trainings in parallel, and told in any order. Accuracies may have any unit.

    Attributes:
        name: what results and the command line call it.
        definition: one line that says what it does.
        initial: the scores that choose the first trainings or pre-train a model, see `warmup`.
        move: the scores that propose moves, see `move_proposal`.
        needs: what a space has to offer beside a list of its architectures.

    An algorithm implements `_init`, `_ask` and `_tell` and names the type of its state; `asked` and `told` are counted
    here. It sets `proposes_moves` if it follows `move`, and `default_ratio` then.
    """

    name: ClassVar[str]
    definition: ClassVar[str] = ""
    state: ClassVar[type[SearchState]] = SearchState
    proposes_moves: ClassVar[bool] = False
    default_ratio: ClassVar[float] = 1.0
    needs: ClassVar[tuple[type[Capability], ...]] = ()
    look_ups: ClassVar[int] = 1  # how many trainings of a table `advance` had better make at once

    initial: Proxy | None = None
    move: Proxy | None = None

    def init(
        self,
        space: str | SearchSpace[Any],
        *,
        runs: int,
        seed: int = 0,
        first_run: int = 0,
        device: torch.device | str = "cpu",
    ) -> StateT:
        """The state before any training.

        Args:
            space: a search space or its name.
            runs: how many runs advance together, R >= 1.
            seed: of all runs.
            first_run: the number of the first of them: run r of a hundred equals the one run of first_run=r.
            device: where the state's tensors lie; rows and accuracies come and go there.

        Errors: ValueError for an unknown space, a number out of range, scores of another space.
        """
        searched = listed_space(space, self.needs)
        runs, seed, first_run = integer("runs", runs), integer("seed", seed), integer("first_run", first_run)
        if runs < 1:
            raise ValueError(f"runs: expected a number >= 1, got {runs}")
        if seed < 0 or first_run < 0:
            raise ValueError(f"seed and first_run: expected numbers >= 0, got {seed} and {first_run}")
        for proxy in (self.initial, self.move):
            if proxy is not None:
                proxy.check(searched)
        return self._init(SearchState(searched.name, Streams.of(seed, runs, first_run, present_device(device)), 0, 0))

    def ask(self, state: StateT) -> tuple[Tensor, StateT]:
        """The row that each run trains next, int64 [R], and the state that knows of it."""
        rows, state = self._ask(state)
        return rows, replace(state, asked=state.asked + 1)

    def tell(self, state: StateT, rows: Tensor, accuracies: Tensor) -> StateT:
        """The state once the rows, int64 [R], have reached accuracies, [R], higher is better, NaN where one failed.

        Errors: ValueError for shapes other than [R], for more told than asked.
        """
        expected = (state.runs,)
        if rows.shape != expected or accuracies.shape != expected:
            came = f"{list(rows.shape)} and {list(accuracies.shape)}"
            raise ValueError(f"rows and accuracies: expected shape [{state.runs}], got {came}")
        if state.told >= state.asked:
            raise ValueError(f"tell: expected at most one for each ask, got {state.told + 1} for {state.asked}")
        return replace(self._tell(state, rows, accuracies.double()), told=state.told + 1)

    def advance(self, state: StateT, accuracies: Tensor, steps: int) -> tuple[Tensor, StateT]:
        """Ask and tell `steps` times by look-up in accuracies [N] of the whole space: rows int64 [R, steps], the state.

        Errors: ValueError for accuracies of another space, as `ask` and `tell`.
        """
        size = len(named_space(state.space))
        if accuracies.shape != (size,):
            raise ValueError(f"accuracies: expected shape [{size}], got {list(accuracies.shape)}")
        rows = state.streams.keys.new_empty(state.runs, steps)
        for step in range(steps):
            rows[:, step], state = self.ask(state)
            state = self.tell(state, rows[:, step], accuracies[rows[:, step]])
        return rows, state

    def check_ratio(self, ratio: float) -> None:
        """Raise a ValueError unless `move_proposal` may have this ratio."""

    @abstractmethod
    def _init(self, state: SearchState) -> StateT:
        """The algorithm's own state around the common one."""

    @abstractmethod
    def _ask(self, state: StateT) -> tuple[Tensor, StateT]:
        """Rows int64 [R]; `state.asked` is how many were asked before."""

    @abstractmethod
    def _tell(self, state: StateT, rows: Tensor, accuracies: Tensor) -> StateT:
        """`state.told` is how many were told before; accuracies float64 [R]."""
