"""Algorithms that use scores: warm-up before the first training, proposals of moves."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

from zcfast.analysis.columns import Column
from zcfast.errors import integer
from zcfast.search.algorithm import Algorithm
from zcfast.search.proxy import Proxy

AlgorithmT = TypeVar("AlgorithmT", bound=Algorithm[Any])


def warmup(algorithm: AlgorithmT, scores: Column, n: int = 3000) -> AlgorithmT:
    """The algorithm with zero-cost warm-up: n random architectures are scored before the first training.

    Random search trains them best first, and once they are used up goes on at random. Ageing evolution takes the best
    of them as its initial pool. REINFORCE first takes n steps with the scores as rewards, normalised to [-1, 1] by
    their running minimum and maximum. The binary predictor is first trained on the order of pairs of their scores.

    Args:
        algorithm: any algorithm.
        scores: [N] for the whole space in the order of `enumerate()`, higher is better, NaN: no score; a tensor or any
            other column that zcfast.analysis takes.
        n: how many architectures are scored, 1 to N.

    Errors: ValueError for scores of another shape or all NaN, for n larger than the space.
    Source: Abdelfattah et al., "Zero-Cost Proxies for Lightweight NAS", ICLR 2021, section 5.
    """
    n = integer("n", n)
    proxy = Proxy.of(scores, n)
    if not 1 <= n <= len(proxy.scores):
        raise ValueError(f"warm-up: expected 1 to {len(proxy.scores)} architectures, the size of the space, got {n}")
    return dataclasses.replace(algorithm, initial=proxy)


def move_proposal(algorithm: AlgorithmT, scores: Column, ratio: float | None = None) -> AlgorithmT:
    """The algorithm with zero-cost move proposal: scores decide between two trainings where the search goes.

    Ageing evolution: a child is the best-scored of all neighbours of its parent; `ratio`, from 0 to 1, is the share of
    children made so, the others being drawn at random: 0.75 by default, as in the published example. REINFORCE: `ratio`
    is how many steps with scores as rewards go between two with accuracies, an integer >= 1, 10 by default.

    Errors: ValueError for scores of another shape or all NaN, a ratio out of range, an algorithm without moves.
    Source: Abdelfattah et al. 2021, section 5, and the repository's notebook nas_examples.ipynb.
    """
    if not algorithm.proposes_moves:
        raise ValueError(f"move proposal: expected an algorithm that takes one, got {algorithm.name}")
    ratio = algorithm.default_ratio if ratio is None else ratio
    algorithm.check_ratio(ratio)
    return dataclasses.replace(algorithm, move=Proxy.of(scores, ratio))
