from dataclasses import dataclass

from zcfast.search import Algorithm
from zcfast.spaces import space as named_space
from zcfast.testing import AlgorithmContract


@dataclass(frozen=True, kw_only=True)
class Shuffled(Algorithm):
    """One of a user's own: a random order, in which the best of a sample come first with warm-up."""

    name = "shuffled"

    def _init(self, state):
        return state

    def _ask(self, state):
        size = len(named_space(state.space))
        if self.initial is not None and state.asked < self.initial.amount:
            return self.initial.best_of_random(state.streams, int(self.initial.amount))[:, state.asked], state
        return state.streams.permutation(size, state.asked, state.asked + 1)[:, 0], state

    def _tell(self, state, rows, accuracies):
        return state


class TestShuffled(AlgorithmContract):
    spaces = ("nasbench201",)

    def make(self):
        return Shuffled()
