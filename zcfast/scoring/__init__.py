"""Scores: of one net (net.py), of a space in closed form (space.py), of its sampled networks (architectures.py)."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zcfast.scoring.execution import Executor, InProcess, Processes
    from zcfast.scoring.net import PAPER, Score, score
    from zcfast.scoring.store import Store

_FILES = {
    "PAPER": "net",
    "Executor": "execution",
    "InProcess": "execution",
    "Processes": "execution",
    "Score": "net",
    "Store": "store",
    "score": "net",
}
__all__ = ["PAPER", "Executor", "InProcess", "Processes", "Score", "Store", "score"]

if not TYPE_CHECKING:  # a worker process is under control before it imports torch

    def __getattr__(name: str) -> Any:
        if name not in _FILES:
            raise AttributeError(f"module 'zcfast.scoring' has no attribute {name!r}")
        return getattr(import_module(f"zcfast.scoring.{_FILES[name]}"), name)
