"""Runs a function with all global random generators at a state of its own, and puts theirs back."""

from __future__ import annotations

import hashlib
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def seeded(*keys: object) -> Iterator[None]:
    """Inside, torch's, Python's and numpy's generators start from the keys alone; behind, they are as they were.

    Networks draw their weights from torch's, as layers do when they are made.
    """
    digest = hashlib.sha256(":".join(map(str, keys)).encode()).digest()
    numpy_random: Any = sys.modules.get("numpy.random")  # nothing draws from what is not imported
    before = random.getstate(), numpy_random.get_state() if numpy_random else None
    # On the CPU alone: a builder makes its network there.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(int.from_bytes(digest[:8], "big"))
        random.seed(digest)
        if numpy_random:
            numpy_random.seed(int.from_bytes(digest[:4], "big"))
        try:
            yield
        finally:
            random.setstate(before[0])
            if numpy_random:
                numpy_random.set_state(before[1])
