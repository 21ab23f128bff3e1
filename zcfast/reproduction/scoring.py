"""Scores what the store lacks: shards of a few architectures, each a file that is there whole or not at all."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import hashlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

SHARD = 20  # architectures a file: minutes of work that a killed run may lose


@dataclasses.dataclass(frozen=True)
class Task:
    """What one process scores: architectures by their rows in the space, under one protocol."""

    space: str
    proxies: tuple[str, ...]
    rows: tuple[int, ...]
    images: str
    batch_size: int
    images_seed: int
    seed: int
    initialisation: str
    network: tuple[tuple[str, Any], ...]

    def shards(self) -> list[Task]:
        """The same work in parts of SHARD architectures."""
        parts = [self.rows[start : start + SHARD] for start in range(0, len(self.rows), SHARD)]
        return [dataclasses.replace(self, rows=part) for part in parts]

    def file_name(self) -> str:
        """A name that no other work has."""
        return f"shard_{hashlib.sha256(repr(self).encode()).hexdigest()[:16]}.parquet"


def run(
    tasks: Sequence[Task], directory: Path, workers: int, progress: Callable[[int, int], None] | None = None
) -> list[Path]:
    """Score the tasks in processes of one thread each and return the files, in the order of their ends.

    A file that is there already is not made again: a run that was killed goes on where it ended. The processes are
    spawned and end at once with an error, Ctrl-C or a signal in this one.

    Errors: those of `score_architectures`; OSError where a process was killed.
    """
    shards = [shard for task in tasks for shard in task.shards()]
    directory.mkdir(parents=True, exist_ok=True)
    paths = {shard: directory / shard.file_name() for shard in shards}
    files = [path for path in paths.values() if path.exists()]
    missing = [(shard, path) for shard, path in paths.items() if not path.exists()]
    context = multiprocessing.get_context("spawn")
    held, alive = context.Pipe(duplex=False)  # the far end closes with this process, whatever ends it
    pool = concurrent.futures.ProcessPoolExecutor(
        max(1, min(workers, len(missing))), mp_context=context, initializer=_end_with, initargs=(held,)
    )
    try:
        futures = {pool.submit(score_shard, shard, path): path for shard, path in missing}
        for future in concurrent.futures.as_completed(futures):
            future.result()
            files.append(futures[future])
            if progress:
                progress(len(files), len(shards))
    except BrokenProcessPool as error:
        message = "a process that scores was killed, perhaps for its memory; the same command goes on where it ended"
        raise OSError(message) from error
    except BaseException:
        alive.close()
        pool.shutdown(wait=True, cancel_futures=True)
        raise
    pool.shutdown()
    return files


def _end_with(held: Connection) -> None:
    """End this process as soon as the one that spawned it has ended or closes its end of the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches both, and that one decides

    def wait() -> None:
        held.poll(None)
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def score_shard(task: Task, path: Path) -> None:
    """Score one shard on one thread and write its file."""
    import torch

    import zcfast

    torch.set_num_threads(1)
    batch = zcfast.load_images(task.images, task.batch_size, task.images_seed)
    cells = zcfast.space(task.space).enumerate()[list(task.rows)]
    scores = zcfast.score_architectures(
        task.space,
        task.proxies,
        cells,
        batch,
        seed=task.seed,
        initialisation=task.initialisation,
        **dict(task.network),
    )
    scores.save(path)
