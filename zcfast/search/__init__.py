"""Search algorithms that advance many independent runs together, on tensors."""

from zcfast.search.ageing_evolution import AgeingEvolution
from zcfast.search.algorithm import Algorithm
from zcfast.search.loop import SearchInterrupted, Trained, run
from zcfast.search.proxy import move_proposal, warmup
from zcfast.search.random_search import RandomSearch
from zcfast.search.reinforce import Reinforce
from zcfast.search.state import SearchState, load_state, save_state
from zcfast.search.trajectory import Trajectory

ageing_evolution = AgeingEvolution
random_search = RandomSearch
reinforce = Reinforce

__all__ = [
    "Algorithm",
    "SearchInterrupted",
    "SearchState",
    "Trained",
    "Trajectory",
    "ageing_evolution",
    "load_state",
    "move_proposal",
    "random_search",
    "reinforce",
    "run",
    "save_state",
    "warmup",
]
