"""Runs that are killed, interrupted, stopped and damaged at random moments, until each has its file.

    python -m tests.scoring.kills --events 200

Nothing may be lost (a kept row that is made again), wrong (another file than an uninterrupted run's) or hang (a signal
that takes more than two seconds, a run without an end).
"""

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path
from types import ModuleType

from tests.scoring.shared import SPACE, images, score
from tests.scoring.tasks import nap
from zcfast.scoring.execution import SIGNALS, Processes
from zcfast.scoring.store import Store, _checked

ROWS = list(range(0, 15_000, 1_250))
DAMAGES = ("none", "none", "half", "flipped", "foreign", "directory")
EVENTS = (signal.SIGKILL, *SIGNALS, signal.SIGSTOP)


def networks(directory: Path) -> None:
    """A run in one process: real networks, as `zcfast score` has it."""
    (directory / "found").write_text("")

    def progress(done, total):
        if not (directory / "found").read_text():
            (directory / "found").write_text(str(done))

    with Store(directory / "parts") as store:
        cells = SPACE.enumerate()[ROWS]
        scores = score(["snip"], cells=cells, images=images(), workers=1, parts=store, progress=progress)
        scores.save(directory / "out")
        store.clear()


def naps(directory: Path) -> None:
    """A run in two worker processes, which import nothing large."""
    with Store(directory / "parts") as store:
        found = store.begin({"naps": 1}, [str(row) for row in ROWS])
        (directory / "found").write_text(str(len(found)))
        rows = {row: found[str(row)] for row in ROWS if str(row) in found}
        missing = [row for row in ROWS if row not in rows]
        with closing(Processes(2).map(nap, missing)) as results:
            for place, value in results:
                rows[missing[place]] = {"nap": (value, "")}
                store.keep(str(missing[place]), rows[missing[place]])
        (directory / "out").write_text(json.dumps([rows[row] for row in ROWS]))
        store.clear()


def started(run, directory: Path) -> int:
    """A process that runs it, forked: imports take longer than the run."""
    process = os.fork()
    if process == 0:
        status = 1
        with suppress(BaseException):
            for number in SIGNALS:
                signal.signal(number, signal.default_int_handler)
            sys.modules["__main__"] = ModuleType("__main__")  # workers would import this file, and torch with it
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            run(directory)
            status = 0
        os._exit(status)
    return process


def ended(process: int, seconds: float) -> int | None:
    """The status of a process that ends in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        who, status = os.waitpid(process, os.WNOHANG)
        if who:
            return status
        time.sleep(0.005)
    return None


def damage(part: Path, kind: str, foreign: bytes) -> None:
    content = bytearray(part.read_bytes())
    part.unlink()
    if kind == "directory":
        part.mkdir()
        return
    if kind == "half":
        content = content[: len(content) // 2]
    elif kind == "flipped":
        content[random.randrange(len(content))] ^= 1 << random.randrange(8)
    part.write_bytes(foreign if kind == "foreign" else bytes(content))


def trial(run, directory: Path, expected: bytes, whole: float, foreign: bytes, counts: Counter) -> None:
    """One event, and another one until a run comes to its end."""
    while True:
        process = started(run, directory)
        time.sleep(random.uniform(0, whole * 1.1))
        event = random.choice(EVENTS)
        counts[event.name] += 1
        with suppress(ProcessLookupError):
            os.kill(process, event)
        if event == signal.SIGSTOP:
            time.sleep(0.2)
            for number in (signal.SIGCONT, signal.SIGTERM):
                os.kill(process, number)
        counts["hangs"] += ended(process, 2.5) is None
        parts = sorted(directory.glob("parts/part_*.json"))
        kind = random.choice(DAMAGES) if parts else "none"
        if kind != "none":
            counts[kind] += 1
            damage(random.choice(parts), kind, foreign)
        there = 0
        for path in directory.glob("parts/part_*.json"):
            with suppress(ValueError, OSError, KeyError):
                there += len(_checked(path)["rows"])
        if random.random() < 0.5:
            (directory / "found").unlink(missing_ok=True)
            (directory / "out").unlink(missing_ok=True)
            status = ended(started(run, directory), 120)
            counts["hangs"] += status is None
            counts["wrong"] += (directory / "out").read_bytes() != expected if status == 0 else 1
            counts["lost"] += int((directory / "found").read_text() or 0) != there
            return


def main(events: int, seed: int = 0) -> Counter:
    """Counts of what was done and of what went wrong."""
    random.seed(seed)
    counts: Counter = Counter()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as place:
        prepared = {}
        for run in (networks, naps):
            directory = Path(place) / run.__name__
            directory.mkdir()
            begun = time.monotonic()
            assert ended(started(run, directory), 300) == 0
            prepared[run] = ((directory / "out").read_bytes(), time.monotonic() - begun)
        other = Path(place) / "other"
        score(["snip"], cells=SPACE.enumerate()[ROWS[:2]], images=images(), workers=1, parts=other, seed=1)
        foreign = next(other.glob("part_*.json")).read_bytes()
        number = 0
        while sum(counts[event.name] for event in EVENTS) < events:
            run, number = (networks, naps)[number % 2], number + 1
            directory = Path(place) / str(number)
            directory.mkdir()
            trial(run, directory, *prepared[run], foreign, counts)
    return counts


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    print(dict(main(given.events, given.seed)))
