import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

import zcfast
from zcfast.reproduction import scoring
from zcfast.scores import Scores

PROXIES = ("snip", "jacob_cov", "synflow")


@pytest.fixture
def task(tmp_path, monkeypatch):
    monkeypatch.setattr(scoring, "SHARD", 1)
    path = tmp_path / "pictures.npz"
    pictures = np.random.default_rng(0).integers(0, 256, (8, 8, 8, 3), dtype=np.uint8)
    np.savez(path, images=pictures, labels=np.arange(8) % 10)
    network = (("classes", 10), ("modules", 1), ("resolution", 8), ("stem_channels", 4))
    return scoring.Task("nasbench201", PROXIES, (7, 5000), str(path), 4, 0, 3, "pytorch", network)


@pytest.fixture
def expected(task):
    """What the library gives for the same architectures in this process."""
    batch = zcfast.load_images(task.images, 4, 0)
    cells = zcfast.space("nasbench201").enumerate()[list(task.rows)]
    return zcfast.score_architectures("nasbench201", PROXIES, cells, batch, seed=3, **dict(task.network))


def read(files):
    parts = [Scores.load(file) for file in files]
    order = np.argsort([int(zcfast.space("nasbench201").index(part.cells)) for part in parts])
    return {name: torch.cat([parts[place][name] for place in order]) for name in PROXIES}


def same(found, expected):
    for name in PROXIES:
        assert found[name].tolist() == pytest.approx(expected[name].tolist(), rel=1e-6)


def test_workers_give_the_same_numbers_and_files_are_not_made_again(tmp_path, task, expected):
    done = []
    files = scoring.run([task], tmp_path / "new", 2, lambda *progress: done.append(progress))
    assert done == [(1, 2), (2, 2)]
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(path.name for path in files)
    same(read(files), expected)
    before = files[0].stat().st_mtime_ns
    content = files[1].read_bytes()
    files[1].unlink()
    again = scoring.run([task], tmp_path / "new", 1)
    assert files[0].stat().st_mtime_ns == before
    assert sorted(again) == sorted(files)
    assert Scores.load(files[1])["snip"].tolist() == pytest.approx(
        Scores.load(_write(tmp_path, content))["snip"].tolist()
    )


def _write(directory, content):
    (directory / "before.parquet").write_bytes(content)
    return directory / "before.parquet"


def test_an_interrupted_run_goes_on(tmp_path, task, expected, monkeypatch):
    directory = tmp_path / "new"
    # As after kill -9 while a file was written: one shard, and half of another under its temporary name.
    shards = task.shards()
    directory.mkdir()
    scoring.score_shard(shards[0], directory / shards[0].file_name())
    (directory / f".{shards[1].file_name()}.0123.tmp").write_bytes(b"half")
    made = []
    monkeypatch.setattr(scoring.concurrent.futures, "ProcessPoolExecutor", lambda *_, **__: _Inline(made))
    files = scoring.run([task], directory, 1)
    assert made == [shards[1]]
    same(read(files), expected)


class _Inline:
    """A pool that works in this process."""

    def __init__(self, made):
        self.made = made

    def submit(self, function, shard, path):
        self.made.append(shard)
        future = scoring.concurrent.futures.Future()
        future.set_result(function(shard, path))
        return future

    def shutdown(self, **_):
        pass


def test_every_protocol_has_files_of_its_own(task):
    others = [dataclasses.replace(task, seed=4), dataclasses.replace(task, batch_size=8)]
    assert len({each.file_name() for each in (task, *others, *task.shards())}) == 5


WORKER_OF_A_PROCESS = """
import concurrent.futures, multiprocessing, os, time
from zcfast.reproduction.scoring import _end_with

if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    held, alive = context.Pipe(duplex=False)
    pool = concurrent.futures.ProcessPoolExecutor(1, mp_context=context, initializer=_end_with, initargs=(held,))
    print(pool.submit(os.getpid).result(), flush=True)
    pool.submit(time.sleep, 600).result()
"""


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks for the process in /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_worker_ends_with_the_process_that_spawned_it(tmp_path, number):
    (tmp_path / "main.py").write_text(WORKER_OF_A_PROCESS)
    command = [sys.executable, str(tmp_path / "main.py")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment) as process:
        worker = int(process.stdout.readline())
        process.send_signal(number)
        process.wait()
    deadline = time.monotonic() + 20
    while Path(f"/proc/{worker}").exists() and "State:\tZ" not in Path(f"/proc/{worker}/status").read_text():
        assert time.monotonic() < deadline, "the worker goes on"
        time.sleep(0.05)
