"""Ageing evolution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from zcfast import _native, search_ops
from zcfast.errors import integer
from zcfast.search.algorithm import Algorithm
from zcfast.search.moves import best_neighbours, chosen_neighbours, graph_of
from zcfast.search.state import SearchState, put, replace
from zcfast.spaces import space as named_space


@dataclass(frozen=True)
class EvolutionState(SearchState):
    """initial: int64 [R, P], the first proposals.

    rows: int64 [R, P], the members of the pool; the k-th that was told lies in slot k modulo P.
    accuracies: float64 [R, P], NaN where a training failed or a slot is still empty.
    """

    of_rows: ClassVar[tuple[str, ...]] = ("initial", "rows")

    initial: Tensor
    rows: Tensor
    accuracies: Tensor


@dataclass(frozen=True, kw_only=True)
class AgeingEvolution(Algorithm[EvolutionState]):
    """The best of a tournament has a child, which replaces the oldest member of the pool.

    The first `pool` architectures are random, none twice; with warm-up the best-scored of its n. Then `tournament`
    members are drawn without replacement, and a neighbour of the most accurate one, drawn uniformly, is trained. With
    move proposal a share of children (`ratio`) is the best-scored of all neighbours of the parent.

    As published, a child may be an architecture that the run has trained before, and its training counts: a repeated
    training renews the age of a good architecture, which is what the algorithm lives from. On a table of means it
    reaches the same accuracy again. Where all of a tournament failed, a random architecture is trained.

    Attributes:
        pool: how many architectures are alive, P.
        tournament: how many of them compete, 1 to P.

    Source: Real et al., "Regularized Evolution for Image Classifier Architecture Search", AAAI 2019; the sizes, and the
    share of moves, are those of the example notebook of Abdelfattah et al. 2021.
    """

    name: ClassVar[str] = "ageing_evolution"
    definition: ClassVar[str] = "Trains a neighbour of the best of a tournament, which replaces the oldest of the pool."
    state: ClassVar[type[SearchState]] = EvolutionState
    proposes_moves: ClassVar[bool] = True
    default_ratio: ClassVar[float] = 0.75
    look_ups: ClassVar[int] = 100

    pool: int = 64
    tournament: int = 10

    def __post_init__(self) -> None:
        """Check the sizes."""
        for name in ("pool", "tournament"):
            integer(name, getattr(self, name))
        if not 1 <= self.tournament <= self.pool:
            raise ValueError(f"tournament: expected 1 to {self.pool}, the size of the pool, got {self.tournament}")
        if self.initial is not None and self.initial.amount < self.pool:
            raise ValueError(
                f"warm-up: expected at least {self.pool} architectures, the size of the pool, got {self.initial.amount}"
            )

    def check_ratio(self, ratio: float) -> None:
        """A share of children."""
        if not 0 <= ratio <= 1:
            raise ValueError(f"ratio: expected the share of children that are moves, from 0 to 1, got {ratio}")

    def advance(self, state: EvolutionState, accuracies: Tensor, steps: int) -> tuple[Tensor, EvolutionState]:
        """See `Algorithm.advance`; one operator makes all steps, on devices that it has a kernel for."""
        is_whole = len(accuracies) == len(named_space(state.space))
        if state.asked != state.told or not is_whole or not _native.has_kernel("evolve", state.device.type):
            return super().advance(state, accuracies, steps)
        graph = graph_of(state.space, state.device)
        moves = None if self.move is None else best_neighbours(state.space, state.device, self.move)
        ratio = 0.0 if self.move is None else float(self.move.amount)
        pool = (state.initial, state.rows, state.accuracies)
        trained, rows, reached = search_ops.evolve(
            state.streams.keys, state.asked, steps, pool, self.tournament, (graph.offsets, graph.ids), moves, ratio,
            accuracies.double(),
        )  # fmt: skip
        done = state.asked + steps
        return trained, replace(state, asked=done, told=done, rows=rows, accuracies=reached)

    def _init(self, state: SearchState) -> EvolutionState:
        size = len(named_space(state.space))
        if self.pool > size:
            raise ValueError(f"pool: expected at most {size}, the size of the space, got {self.pool}")
        if self.initial is not None:
            initial = self.initial.best_of_random(state.streams, self.pool)
        else:
            initial = state.streams.permutation(size, 0, self.pool)
        empty = torch.full(initial.shape, torch.nan, dtype=torch.float64, device=initial.device)
        return EvolutionState(state.space, state.streams, 0, 0, initial, initial, empty)

    def _ask(self, state: EvolutionState) -> tuple[Tensor, EvolutionState]:
        if state.asked < self.pool:
            return state.initial[:, state.asked], state
        # Of the two steps of each ask one is the tournament's.
        slots = search_ops.tournament(state.streams.keys, 2 * state.asked, state.accuracies, self.tournament)
        parents = state.rows.gather(1, slots.clamp(min=0)[:, None])[:, 0]
        bits = state.streams.bits(2 * state.asked + 1, 3)
        strangers = search_ops.numbers_below(bits[:, 0], len(named_space(state.space)))
        return torch.where(slots >= 0, self._children(state, parents, bits), strangers), state

    def _tell(self, state: EvolutionState, rows: Tensor, accuracies: Tensor) -> EvolutionState:
        slot = state.told % self.pool
        return replace(state, rows=put(state.rows, slot, rows), accuracies=put(state.accuracies, slot, accuracies))

    def _children(self, state: EvolutionState, parents: Tensor, bits: Tensor) -> Tensor:
        drawn = chosen_neighbours(graph_of(state.space, state.device), parents, bits[:, 1])
        if self.move is None:
            return drawn
        moves = best_neighbours(state.space, state.device, self.move)[parents]
        return torch.where(search_ops.unit_interval(bits[:, 2]) < self.move.amount, moves, drawn)
