"""Search algorithms that advance many independent runs together, on tensors."""

from zcfast.search.ageing_evolution import AgeingEvolution
from zcfast.search.algorithm import Algorithm
from zcfast.search.proxy import move_proposal, warmup
from zcfast.search.random_search import RandomSearch
from zcfast.search.state import SearchState, load_state, save_state

ageing_evolution = AgeingEvolution
random_search = RandomSearch

__all__ = [
    "Algorithm",
    "SearchState",
    "ageing_evolution",
    "load_state",
    "move_proposal",
    "random_search",
    "save_state",
    "warmup",
]
