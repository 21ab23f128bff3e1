"""One score at a time: passes change the net, and torch's, Python's and numpy's global state, and put them back."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

_LOOK = 0.5  # seconds between two looks of a call that waits at the one that it waits for
_RESTS = 60  # looks in a row that found nothing done
_SHARE = 0.005  # of a processor's time, above which a thread works


class _Turn:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.owner: int | None = None
        self.clock: Callable[[], float] = time.process_time


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
        RuntimeError: this call may come from inside of a net that is being scored: from its own thread, or from one for
            which that net seems to wait, as it has not computed for half a minute. Both would wait for ever.
    """
    turn = _turn
    if turn.owner == threading.get_ident():
        raise RuntimeError(
            "score: expected a call from outside of other calls, got one from a net or hook that runs in one"
        )
    _wait_for(turn)
    try:
        turn.clock, turn.owner = _own_clock(), threading.get_ident()
        yield
    finally:
        turn.owner = None
        turn.lock.release()


def _wait_for(turn: _Turn) -> None:
    rests, last = 0, (turn.clock, turn.clock())
    while not turn.lock.acquire(timeout=_LOOK):
        clock = turn.clock
        seen = clock, clock()
        worked = seen[0] is not last[0] or seen[1] - last[1] > _SHARE * _LOOK
        rests, last = 0 if worked else rests + 1, seen
        if rests >= _RESTS:
            raise RuntimeError(
                f"score: expected a call from outside of other calls, got one while another has rested for "
                f"{_RESTS * _LOOK:.0f} s, as a net does that waits for a thread that scores"
            )


def _own_clock() -> Callable[[], float]:
    """What tells this thread's processor time to other threads; where the system cannot, that of all threads."""
    if not hasattr(time, "pthread_getcpuclockid"):
        return time.process_time
    return partial(_time_of, time.pthread_getcpuclockid(threading.get_ident()))


def _time_of(clock: int) -> float:
    try:
        return time.clock_gettime(clock)
    except OSError:  # of a thread that has ended
        return 0.0
