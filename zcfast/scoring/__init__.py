"""Scores: of one net (net.py), of a space in closed form (space.py), of its sampled networks (architectures.py)."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zcfast.scoring.execution import Executor
    from zcfast.scoring.net import PAPER, Score, score

__all__ = ["PAPER", "Executor", "Score", "score"]

if not TYPE_CHECKING:  # a worker process is under control before it imports torch

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module 'zcfast.scoring' has no attribute {name!r}")
        return getattr(import_module(f"zcfast.scoring.{'execution' if name == 'Executor' else 'net'}"), name)
