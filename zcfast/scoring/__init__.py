"""Scores: of one net (net.py), of a space in closed form (space.py), of its sampled networks (architectures.py)."""

from zcfast.scoring.net import PAPER, Score, score

__all__ = ["PAPER", "Score", "score"]
