import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import zcfast
from zcfast.images import random_images
from zcfast.proxies import fisher, resolve
from zcfast.scoring import sharded
from zcfast.scoring.architectures import ScoringInterrupted, score_architectures
from zcfast.scoring.sharded import Task

NONE = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"
SMALL = {"stem_channels": 4, "modules": 1}
PROXIES = ["snip", "path_rank", fisher(weighting="channel"), "jacob_cov", "synflow"]

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def cells():
    """Three architectures, of which the second has no jacob_cov."""
    space = zcfast.space("nasbench201")
    index = space.index(space.parse([NONE])).item()
    return space.enumerate()[[7, index, 5000]]


def images():
    return random_images(4, (3, 8, 8), 10, seed=0)


def score(cells, **options):
    return score_architectures("nasbench201", PROXIES, cells, images(), **SMALL, **options)


def task(cells, **changes):
    proxies = tuple(map(resolve, ("snip", "synflow")))
    given = {"proxies": proxies, "images": images(), "seed": 0, "device": "cpu", "options": SMALL, **changes}
    return Task("nasbench201", cells=cells, **given)


def assert_same(found, expected):
    assert found.cells == expected.cells
    assert (found.protocol, found.reasons) == (expected.protocol, expected.reasons)
    for name in expected.columns:
        assert torch.equal(found[name].nan_to_num(7.5), expected[name].nan_to_num(7.5))


def test_the_number_of_workers_changes_no_digit(cells):
    expected = score(cells)
    assert list(expected.reasons) == ["jacob_cov"]
    done = []
    torch.set_num_threads(2)
    assert_same(score(cells, workers=1), expected)
    assert torch.get_num_threads() == 2
    assert_same(score(cells, workers=2, progress=lambda *at: done.append(at)), expected)
    assert done == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_a_call_goes_on_where_it_was_interrupted(cells, tmp_path):
    def progress(done, total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(ScoringInterrupted) as interrupted:
        score(cells, workers=1, parts=tmp_path, progress=progress)
    kept, expected = interrupted.value.scores, score(cells)
    assert kept.cells == cells[:2]
    assert all(torch.equal(kept[name].nan_to_num(7.5), expected[name][:2].nan_to_num(7.5)) for name in kept.columns)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert len(before) == 2
    # As after kill -9 while a file was written.
    next(iter(before)).with_name(".shard_0.parquet.0123.tmp").write_bytes(b"half")
    done = []
    assert_same(score(cells, workers=2, parts=tmp_path, progress=lambda *at: done.append(at)), expected)
    assert done == [(2, 3), (3, 3)]
    assert {path: path.stat().st_mtime_ns for path in before} == before
    sharded.remove(tmp_path)
    assert not tmp_path.exists()


def test_other_files_stay(tmp_path):
    (tmp_path / "mine.txt").write_text("")
    (tmp_path / "shard_1.parquet").write_text("")
    sharded.remove(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_other_work_has_other_files(cells, monkeypatch):
    others = [
        task(cells),
        task(cells, proxies=(resolve("snip"),)),
        task(cells, proxies=(fisher(),)),
        task(cells, proxies=(fisher(weighting="channel"),)),
        task(cells, images=random_images(4, (3, 8, 8), 10, seed=1)),
        task(cells, images=None),
        task(cells, seed=1),
        task(cells, device="cuda"),
        task(cells, options={**SMALL, "modules": 2}),
    ]
    names = [shard.file_name for each in others for shard in each.shards()]
    monkeypatch.setattr(zcfast, "__version__", "9")
    names += [shard.file_name for shard in task(cells).shards()]
    assert len(set(names)) == len(names) == 3 * 10


@pytest.mark.parametrize(
    ("size", "files", "largest"), [(0, 0, 0), (1, 1, 1), (256, 256, 1), (600, 200, 3), (9999, 500, 20)]
)
def test_few_architectures_have_a_file_each(size, files, largest):
    shards = task(zcfast.space("nasbench201").enumerate()[:size]).shards()
    assert len(shards) == files
    assert max(map(len, shards), default=0) == largest
    assert sum(map(len, shards)) == size


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"workers": 0}, "workers: expected a number >= 1, got 0"),
        ({"workers": 1.5}, "workers: expected an integer, got 1.5"),
        ({"parts": "here"}, "parts: no effect without workers"),
    ],
)
def test_wrong_arguments(cells, arguments, message):
    with pytest.raises(ValueError, match=message):
        score(cells, **arguments)


WORKERS_OF_A_PROCESS = """
import os, time
from pathlib import Path
import zcfast
from zcfast.scoring import sharded
from zcfast.scores import Scores
from zcfast.images import random_images

def save(scores, path):  # in the worker: its script is imported there
    print(os.getpid(), flush=True)
    time.sleep(600)

Scores.save = save
if __name__ == "__main__":
    cells = zcfast.space("nasbench201").enumerate()[[7, 5000]]
    images = random_images(4, (3, 8, 8), 10, seed=0)
    zcfast.score_architectures("nasbench201", ["snip"], cells, images, workers=2, stem_channels=4, modules=1)
"""


def _running(process: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except OSError:
        return False


@pytest.fixture
def scoring(tmp_path):
    """A process that scores, and its two workers."""
    (tmp_path / "main.py").write_text(WORKERS_OF_A_PROCESS)
    command = [sys.executable, str(tmp_path / "main.py")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, env=environment, text=True) as process:
        yield process, [int(process.stdout.readline()) for _ in range(2)]
        process.kill()


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks for the processes in /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_workers_end_with_the_process_that_spawned_them(scoring, number):
    process, workers = scoring
    process.send_signal(number)
    process.wait()
    deadline = time.monotonic() + 60
    while any(map(_running, workers)):
        assert time.monotonic() < deadline, "a worker goes on"
        time.sleep(0.05)


@pytest.mark.skipif(not Path("/proc").exists(), reason="workers are those of Linux")
def test_a_worker_that_was_killed_is_an_error(scoring):
    process, workers = scoring
    os.kill(workers[0], signal.SIGKILL)
    _, err = process.communicate(timeout=120)
    assert "OSError: a process that scores was killed, perhaps for its memory; fewer workers take less" in err
