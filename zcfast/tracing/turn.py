"""One score at a time: passes change the net, and torch's, Python's and numpy's global state, and put them back."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class _Turn:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.owner: int | None = None


_turn = _Turn()


def _renew() -> None:
    """A forked process has one thread, and none that would give the lock back."""
    global _turn
    _turn = _Turn()


os.register_at_fork(after_in_child=_renew)


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Wait until no other thread scores.

    Raises:
        RuntimeError: this thread scores already: the call comes from inside of a net that is being scored.
    """
    turn = _turn
    if turn.owner == threading.get_ident():
        raise RuntimeError(
            "score: expected a call from outside of other calls, got one from a net or hook that runs in one"
        )
    with turn.lock:
        turn.owner = threading.get_ident()
        try:
            yield
        finally:
            turn.owner = None
