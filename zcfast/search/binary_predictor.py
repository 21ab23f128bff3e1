"""Search by a predictor of which of two architectures is better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from zcfast.errors import integer
from zcfast.search.algorithm import Algorithm
from zcfast.search.pairwise import PairwiseNetwork
from zcfast.search.state import SearchState, replace
from zcfast.search.streams import Streams
from zcfast.spaces import space as named_space


@dataclass(frozen=True)
class PredictorState(SearchState):
    """parameters: float64 [R, P], of the networks.

    handed: int64 [R, A], all proposals so far in the order of their making; proposal `asked` is its column asked.
    rows: int64 [R, T] and accuracies: float64 [R, T], what was told.
    rounds: how often a network has chosen a batch.
    """

    of_rows: ClassVar[tuple[str, ...]] = ("handed", "rows")

    parameters: Tensor
    handed: Tensor
    rows: Tensor
    accuracies: Tensor
    rounds: int


@dataclass(frozen=True, kw_only=True)
class BinaryPredictor(Algorithm[PredictorState]):
    """A graph convolutional network, trained on pairs of what was trained, chooses the next batch of architectures.

    The first batch is random. Then the network, which goes on from its last parameters, is trained on the order of all
    pairs of architectures told so far and ranks random candidates. Half of a batch are its best ones that were not
    proposed before; the others are drawn at random among the best 1 / 2^i of candidates, i being the number of batches
    that were ranked. No architecture is proposed twice. With warm-up the network is first trained on the order of n
    architectures by their scores, and ranks the first batch too.

    Attributes:
        batch: architectures between two trainings of the network.
        candidates: how many are ranked, the whole space if it has no more.
        layers, hidden: graph convolutions and their width; published are 4 and 600.
        steps: of AdamW for each batch, each on the pairs among 64 architectures; the warm-up takes three times as many.
        rate: of AdamW.

    Source: Dudziak et al., "BRP-NAS: Prediction-based NAS using GCNs", NeurIPS 2020 (iterative data selection);
    warm-up: Abdelfattah et al. 2021, section 5. Smaller than published, and without its dropout.
    """

    name: ClassVar[str] = "binary_predictor"
    definition: ClassVar[str] = "Trains what a graph network that has learned the order of trained pairs ranks first."
    state: ClassVar[type[SearchState]] = PredictorState

    batch: int = 10
    candidates: int = 15_625
    layers: int = 3
    hidden: int = 64
    steps: int = 100
    rate: float = 0.002

    def __post_init__(self) -> None:
        """Check the numbers."""
        for name in ("batch", "candidates", "layers", "hidden", "steps"):
            if integer(name, getattr(self, name)) < 1:
                raise ValueError(f"{name}: expected a number >= 1, got {getattr(self, name)}")
        if self.candidates < self.batch:
            raise ValueError(f"candidates: expected at least {self.batch}, the batch, got {self.candidates}")
        if not self.rate > 0:
            raise ValueError(f"rate: expected a number > 0, got {self.rate}")

    def _init(self, state: SearchState) -> PredictorState:
        network, streams = self._network(state), state.streams
        parameters = network.drawn(streams.fork("weights"))
        if self.initial is None:
            handed = streams.permutation(len(named_space(state.space)), 0, self.batch)
        else:
            rows = streams.permutation(len(named_space(state.space)), 0, int(self.initial.amount))
            scores = self.initial.scores.to(state.device)[rows]
            parameters = self._fit(network, parameters, rows, scores, streams.fork("warm-up"), 3 * self.steps)
            handed = rows[:, :0]
        none = handed[:, :0]
        return PredictorState(
            **vars(state), parameters=parameters, handed=handed, rows=none, accuracies=none.double(), rounds=0
        )

    def _ask(self, state: PredictorState) -> tuple[Tensor, PredictorState]:
        if state.asked == state.handed.shape[1]:
            state = self._chosen(state)
        return state.handed[:, state.asked], state

    def _tell(self, state: PredictorState, rows: Tensor, accuracies: Tensor) -> PredictorState:
        return replace(
            state,
            rows=torch.cat([state.rows, rows[:, None]], 1),
            accuracies=torch.cat([state.accuracies, accuracies[:, None]], 1),
        )

    def _network(self, state: SearchState) -> PairwiseNetwork:
        return PairwiseNetwork(state.space, self.layers, self.hidden)

    def _fit(
        self, network: PairwiseNetwork, parameters: Tensor, rows: Tensor, values: Tensor, streams: Streams, steps: int
    ) -> Tensor:
        return network.trained(parameters, rows, values, streams, steps=steps, batch=64, rate=self.rate)

    def _chosen(self, state: PredictorState) -> PredictorState:
        """The state with another batch handed out."""
        size, network = len(named_space(state.space)), self._network(state)
        given = state.handed.shape[1]
        if given == size:
            raise ValueError(f"ask: expected at most {size} times, the size of the space, got one more")
        streams, parameters = state.streams.fork(f"round {state.rounds}"), state.parameters
        if state.told:
            parameters = self._fit(network, parameters, state.rows, state.accuracies, streams, self.steps)
        count = min(size, self.candidates + given)
        candidates = streams.permutation(size, 0, count)
        scores = network.scores(parameters, candidates)
        taken = torch.zeros(state.runs, size, dtype=torch.bool, device=state.device).scatter(1, state.handed, True)
        scores = torch.where(taken.gather(1, candidates), -torch.inf, scores)
        ranked = candidates.gather(1, torch.sort(scores, dim=1, descending=True, stable=True).indices)
        free = count - given
        batch = min(self.batch, free)
        best = batch - batch // 2
        among = min(max(count >> (state.rounds + 1), self.batch), free) - best
        others = streams.fork("others").permutation(among, 0, batch // 2) + best
        chosen = torch.cat([ranked[:, :best], ranked.gather(1, others)], 1)
        handed = torch.cat([state.handed, chosen], 1)
        return replace(state, parameters=parameters, handed=handed, rounds=state.rounds + 1)
