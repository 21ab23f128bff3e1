"""Search algorithms that advance many independent runs together, on tensors."""

from typing import Any

from zcfast.search.ageing_evolution import AgeingEvolution
from zcfast.search.algorithm import Algorithm
from zcfast.search.binary_predictor import BinaryPredictor
from zcfast.search.comparison import compare, paper_algorithms, quartiles_by_trainings, trainings_to_target
from zcfast.search.loop import SearchFailed, SearchInterrupted, Trained, describe, run
from zcfast.search.predictor import Predictor, predictor
from zcfast.search.random_search import RandomSearch
from zcfast.search.regressor import Regressor
from zcfast.search.reinforce import Reinforce
from zcfast.search.source import Repetition
from zcfast.search.state import SearchState, load_state, save_state
from zcfast.search.trajectory import Trajectory
from zcfast.search.wrappers import move_proposal, warmup

ageing_evolution = AgeingEvolution
binary_predictor = BinaryPredictor
random_search = RandomSearch
regressor = Regressor
reinforce = Reinforce

ALGORITHMS: dict[str, type[Algorithm[Any]]] = {
    each.name: each for each in (RandomSearch, AgeingEvolution, Reinforce, BinaryPredictor, Regressor)
}

__all__ = [
    "ALGORITHMS",
    "Algorithm",
    "Predictor",
    "Repetition",
    "SearchFailed",
    "SearchInterrupted",
    "SearchState",
    "Trained",
    "Trajectory",
    "ageing_evolution",
    "binary_predictor",
    "compare",
    "describe",
    "load_state",
    "move_proposal",
    "paper_algorithms",
    "predictor",
    "quartiles_by_trainings",
    "random_search",
    "regressor",
    "reinforce",
    "run",
    "save_state",
    "trainings_to_target",
    "warmup",
]
