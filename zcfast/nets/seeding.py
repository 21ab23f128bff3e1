"""Runs what draws from the global random generators from a state of its own, and puts theirs back."""

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Inside, torch's, Python's and numpy's generators start from the seed alone; behind, they are as they were.

    torch's is that of the CPU: networks are built there.
    """
    numpy_random: Any = sys.modules.get("numpy.random")  # nothing draws from what is not imported
    before = random.getstate(), numpy_random.get_state() if numpy_random else None
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        random.seed(seed)
        if numpy_random:
            numpy_random.seed(seed % 2**32)
        try:
            yield
        finally:
            random.setstate(before[0])
            if numpy_random:
                numpy_random.set_state(before[1])
