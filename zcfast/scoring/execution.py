"""Where the parts of a work run: in this process, or in processes that end with it."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
import time
import warnings
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

from zcfast.errors import Notice, Portable

Item = TypeVar("Item")
Result = TypeVar("Result")

Run = Callable[[Sequence[Item]], Generator[tuple[int, Result], None, None]]

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # this process takes them and ends its workers
LOOK = 1.0  # seconds between two looks for workers that ended or were stopped without a word


class Executor(ABC):
    """Runs a task on many items."""

    @abstractmethod
    def map(self, task: Callable[[Item], Result], items: Sequence[Item]) -> Generator[tuple[int, Result], None, None]:
        """The place of each item and what the task gives for it, in the order in which they are finished.

        Closing the iterator ends all that runs.

        Raises:
            Whatever the task raises, at the first item that it raises for.
            WorkerEnded: the process that had an item is no more.
        """

    def session(self, task: Callable[[Item], Result]) -> AbstractContextManager[Run[Item, Result]]:
        """`map` of one task for several lists of items, one after the other; what runs may stay between them."""
        return nullcontext(lambda items: self.map(task, items))


def require_one(workers: int | None, executor: Executor | None) -> None:
    """Raise where both are given, or the executor is none."""
    if executor is not None and not isinstance(executor, Executor):
        raise TypeError(f"executor: expected a zcfast.scoring.Executor, got {executor!r}")
    if workers is not None and executor is not None:
        raise ValueError("executor: expected it or workers, got both")


def each_once(results: Any, items: int) -> Generator[tuple[int, Any], None, None]:
    """What an executor's ``map`` gives, checked: a user's own may lose results, or give one twice.

    Raises:
        TypeError: it gives no generator of pairs.
        ValueError: it does not give one result for each item.
    """
    if not isinstance(results, Generator):
        raise TypeError(f"executor: expected map to be a generator of (place, result), got {type(results).__name__}")
    missing = set(range(items))
    with closing(results):
        for each in results:
            if not (isinstance(each, tuple) and len(each) == 2):
                raise TypeError(f"executor: expected map to give pairs (place, result), got {type(each).__name__}")
            if each[0] not in missing:
                raise ValueError(f"executor: expected each place below {items} once, got {each[0]!r}")
            missing.remove(each[0])
            yield each
    if missing:
        raise ValueError(f"executor: expected a result for each of {items} items, got none for {len(missing)}")


class InProcess(Executor):
    """One item after the other, here."""

    def map(self, task: Callable[[Item], Result], items: Sequence[Item]) -> Generator[tuple[int, Result], None, None]:
        """As ``Executor.map``, in the order of the items."""
        for place, item in enumerate(items):
            yield place, task(item)


class WorkerEnded(Portable, OSError):  # noqa: N818 - what happened, as ScoringInterrupted
    """A worker process that ended before its work did; ``place`` is that of its item, None before the first."""

    def __init__(self, process: BaseProcess, place: int | None) -> None:
        """Say how it ended."""
        super().__init__(f"process {process.pid} that scores {_ending(process.exitcode, place)}")
        self.place = place


@dataclass(frozen=True)
class Processes(Executor):
    """Processes of this machine, started afresh (by spawn) for each call.

    They end at once with an error, Ctrl-C, SIGTERM or SIGHUP in this process, and with this process, whatever ends it.

    Attributes:
        workers: how many; one item alone runs in this process.
    """

    workers: int

    def map(self, task: Callable[[Item], Result], items: Sequence[Item]) -> Generator[tuple[int, Result], None, None]:
        """As ``Executor.map``; the task and the items must pickle. Raises ValueError where the task does not."""
        if len(items) < 2:
            yield from InProcess().map(task, items)
            return
        with self.session(task) as run:
            yield from run(items)

    @contextmanager
    def session(self, task: Callable[[Item], Result]) -> Iterator[Run[Item, Result]]:
        """As ``Executor.session``; the processes stay until it ends."""
        # Pickled here: multiprocessing's own pickler would put tensors into shared memory, of which containers have
        # little.
        try:
            work = pickle.dumps(task)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise ValueError(f"workers: expected what another process can import, got {error}") from error
        crew: list[_Worker] = []

        def run(items: Sequence[Item]) -> Generator[tuple[int, Result], None, None]:
            resource_tracker.ensure_running()  # started with the first worker, it would let signals through to it
            with _signals_held_back():
                while len(crew) < min(self.workers, len(items)):
                    crew.append(_Worker.start())
            return _serve(crew, work, items)

        try:
            yield run
        finally:
            with _signals_held_back():
                _end(crew)


@dataclass
class _Worker:
    """A worker process, the place of the item that it has, and how often in a row it was found stopped.

    One that is free has the task and waits for an item.
    """

    process: BaseProcess
    connection: Connection
    place: int | None = None
    stopped: int = 0
    free: bool = False

    @classmethod
    def start(cls) -> _Worker:
        """Start a process; signals that are held back here never reach it."""
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe()
        process = context.Process(target=_work, args=(there,))
        process.start()
        there.close()  # so that the end of the process ends the connection
        return cls(process, here)

    def receive(self, work: bytes) -> tuple[int, Any, Exception | None] | None:
        """What it has finished: a place, and a result or an error. It first sends None, and gets the task."""
        try:
            answer: tuple[int, Any, Exception | None] | None = self.connection.recv()
        except (EOFError, ConnectionError) as error:
            self.process.join(LOOK)
            raise WorkerEnded(self.process, self.place) from error
        if answer is None:
            with suppress(ConnectionError):
                self.connection.send_bytes(work)
        return answer

    def send(self, place: int, items: Sequence[Any]) -> None:
        """Give it an item; one that has ended says so when the next answer is due."""
        self.place, self.free = place, False
        with suppress(ConnectionError):
            self.connection.send((place, items[place]))

    def is_stopped(self) -> bool:
        """Whether SIGSTOP holds it."""
        assert self.process.pid is not None
        with suppress(ChildProcessError):  # it has just ended
            return os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOHANG | os.WNOWAIT) is not None
        return False


def _serve(crew: list[_Worker], work: bytes, items: Sequence[Any]) -> Generator[tuple[int, Any], None, None]:
    """Give every worker an item as soon as it has none."""
    waiting, left, looked = deque(range(len(items))), len(items), time.monotonic()
    for worker in crew:
        if worker.free and waiting:
            worker.send(waiting.popleft(), items)
    while left:
        for connection in wait([worker.connection for worker in crew if not worker.free], LOOK):
            worker = next(each for each in crew if each.connection is connection)
            answer = worker.receive(work)
            if waiting:
                worker.send(waiting.popleft(), items)
            else:
                worker.free = True
            if answer is not None:
                place, result, raised = answer
                if raised is not None:
                    raise raised
                left -= 1
                yield place, result
        if time.monotonic() - looked >= LOOK:
            _look_for_lost(crew)
            looked = time.monotonic()


def _look_for_lost(crew: list[_Worker]) -> None:
    """Raise for a worker that ended though its connection did not; warn of a stopped one, once."""
    for worker in crew:
        if worker.process.exitcode is not None and not worker.connection.poll():
            raise WorkerEnded(worker.process, worker.place)
        if worker.process.exitcode is None and worker.is_stopped():
            worker.stopped += 1
            if worker.stopped == 2:  # not one that Ctrl-Z stopped and fg has just now let go on
                pid = worker.process.pid
                said = f"process {pid} that scores is stopped: kill -CONT {pid} lets it go on, Ctrl-C ends the run"
                warnings.warn(said, Notice, stacklevel=2)
        else:
            worker.stopped = 0


def _end(crew: list[_Worker]) -> None:
    """End the processes at once, stopped ones too. Nothing is lost: they write no files."""
    for worker in crew:
        worker.process.kill()
    for worker in crew:
        worker.process.join(LOOK)
        worker.connection.close()


def _ending(exit_code: int | None, place: int | None) -> str:
    """How a process ended, in words."""
    if exit_code == -signal.SIGKILL:
        return "was killed, perhaps for its memory; fewer workers take less"
    if exit_code is not None and exit_code < 0:
        return f"was ended by {signal.Signals(-exit_code).name}"
    hint = "" if place is not None else '; a script with workers needs if __name__ == "__main__"'
    return f"ended by itself with exit code {exit_code}{hint}"


@contextmanager
def _signals_held_back() -> Iterator[None]:
    """Inside, signals wait, also for ever in processes that are started here: Ctrl-C reaches the whole group."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(connection: Connection) -> None:
    """In a worker process: take the task, then items until this process is ended."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        connection.send(None)
        work, task = connection.recv_bytes(), None
        answer: tuple[int, Any, Exception | None]
        while True:
            place, item = connection.recv()
            try:
                task = pickle.loads(work) if task is None else task
                answer = (place, task(item), None)
            except Exception as error:
                answer = (place, None, _sendable(error))
            connection.send(answer)
    except (EOFError, ConnectionError):  # the process that started this one has ended
        os._exit(1)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _sendable(error: Exception) -> Exception:
    """The error, or one of its text where it does not pickle."""
    try:
        return pickle.loads(pickle.dumps(error))  # type: ignore[no-any-return]
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
