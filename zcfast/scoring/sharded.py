"""Scores many networks in worker processes: in shards, each a Parquet file that is there whole or not at all."""

from __future__ import annotations

import concurrent.futures
import hashlib
import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

import zcfast
from zcfast.images import ImageBatch
from zcfast.proxies import Proxy
from zcfast.spaces import Cells

SHARD = 20  # architectures a file at most: minutes of work that a killed run may lose
FILES = 256  # up to so many architectures have a file each, so that all workers have work and nothing is lost


@dataclass(frozen=True, eq=False)
class Task:
    """Architectures and all that their scores depend on, as `score_architectures` takes it; sampled proxies only."""

    space: str
    proxies: tuple[Proxy, ...]
    cells: Cells
    images: ImageBatch | None
    seed: int
    device: str
    options: Mapping[str, Any]

    def shards(self) -> list[Shard]:
        """The same work in parts: of one architecture where there are few, of SHARD where there are many."""
        size = max(1, min(SHARD, -(-len(self.cells) // FILES)))
        labels = [proxy.label for proxy in self.proxies]
        images = None if self.images is None else self.images.protocol()
        versions = (zcfast.__version__, torch.__version__)
        common = repr((versions, self.space, labels, images, self.seed, self.device, sorted(self.options.items())))
        shards = []
        for start in range(0, len(self.cells), size):
            cells = self.cells[start : start + size]
            encoding = {name: tensor.tolist() for name, tensor in cells.tensors().items()}
            digest = hashlib.sha256(f"{common}{encoding}".encode()).hexdigest()
            shards.append(Shard(self, start, start + len(cells), f"shard_{digest[:16]}.parquet"))
        return shards


@dataclass(frozen=True, eq=False)
class Shard:
    """A part of a task, and the name of its file, which no other work has."""

    task: Task
    start: int
    stop: int
    file_name: str

    def __len__(self) -> int:
        """Number of architectures."""
        return self.stop - self.start

    def write(self, directory: Path) -> None:
        """Score on one thread, as the number of threads moves the last digits, and write the file."""
        task = self.task
        with _one_thread():
            scores = zcfast.score_architectures(
                task.space,
                task.proxies,
                task.cells[self.start : self.stop],
                task.images,
                seed=task.seed,
                device=task.device,
                **task.options,
            )
        scores.save(directory / self.file_name)


def run(
    shards: Sequence[Shard], directory: Path, workers: int, progress: Callable[[int, int], None] | None = None
) -> None:
    """Write the files that the directory lacks: a run that was killed goes on where it ended.

    One worker is this process. More are spawned and end at once with an error, Ctrl-C or a signal in this one.

    Args:
        progress: called with the number of architectures done, at first those of the files there, and of all.

    Errors: of `score_architectures`; ValueError for a file in place of the directory, OSError for a killed worker.
    """
    if directory.exists() and not directory.is_dir():
        raise ValueError(f"{directory}: expected a directory for finished scores, got a file")
    directory.mkdir(parents=True, exist_ok=True)
    missing = [shard for shard in shards if not (directory / shard.file_name).exists()]
    total = sum(map(len, shards))
    done = total - sum(map(len, missing))

    def report(more: int) -> None:
        nonlocal done
        done += more
        if progress:
            progress(done, total)

    report(0)
    if min(workers, len(missing)) > 1:
        _in_workers(missing, directory, min(workers, len(missing)), report)
    else:
        for shard in missing:
            shard.write(directory)
            report(len(shard))


def finished(shards: Sequence[Shard], directory: Path) -> list[Shard]:
    """Those that have a file."""
    return [shard for shard in shards if (directory / shard.file_name).exists()]


def remove(directory: Path) -> None:
    """Remove files of shards, and the directory if nothing else is in it."""
    if not directory.is_dir():
        return
    for pattern in ("shard_*.parquet", ".shard_*.tmp"):
        for path in directory.glob(pattern):
            path.unlink()
    if not any(directory.iterdir()):
        directory.rmdir()


def _in_workers(shards: Sequence[Shard], directory: Path, workers: int, report: Callable[[int], None]) -> None:
    context = multiprocessing.get_context("spawn")
    held, alive = context.Pipe(duplex=False)  # the far end closes with this process, whatever ends it
    # Pickled here: multiprocessing's own pickler would put tensors into shared memory, of which containers have little.
    work = pickle.dumps((shards, directory))
    pool = concurrent.futures.ProcessPoolExecutor(
        workers, mp_context=context, initializer=_start, initargs=(held, work)
    )
    try:
        with _workers_without_signals():
            futures = {pool.submit(_write, place): shard for place, shard in enumerate(shards)}
            pool.submit(int)  # the pool watches a process from the first submission after its start on
        for future in concurrent.futures.as_completed(futures):
            future.result()
            report(len(futures[future]))
    except BrokenProcessPool as error:
        raise OSError("a process that scores was killed, perhaps for its memory; fewer workers take less") from error
    finally:
        alive.close()
        pool.shutdown(cancel_futures=True)


@contextmanager
def _workers_without_signals() -> Iterator[None]:
    """Processes spawned inside never get Ctrl-C or SIGTERM, which reach the whole group: this process decides."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


_work: tuple[Sequence[Shard], Path]  # of a worker process


def _start(held: Connection, work: bytes) -> None:
    """Take the work; end this process as soon as the one that spawned it has ended or closes its end of the pipe."""

    def wait() -> None:
        held.poll(None)
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
    global _work
    _work = pickle.loads(work)


def _write(place: int) -> None:
    shards, directory = _work
    shards[place].write(directory)
