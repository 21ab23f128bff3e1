"""Damages files of every kind that zcfast reads, and reads them as a user does.

    python tools/fuzz_files.py [--files 20000] [--seed 0] [--jobs 2] [--keep DIRECTORY]

Each damaged file goes to its command in a process of its own, or to its reader where no command takes it alone. The
file has one line of error, or loads: with its undamaged values where the format has checksums, in at most 1 GB and ten
seconds of processor time. Every finding is printed, and its file is kept where --keep says; exit status 1.
"""

import argparse
import contextlib
import gc
import hashlib
import importlib
import json
import os
import pkgutil
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1]))

import rich.console
import rich.progress
import rich.table
import torch

import zcfast
from tests import damage
from tests.samples import CLAIMS, SPACE, TEXTS, Sample, samples
from zcfast import cli, images, scores, search, tables
from zcfast.errors import printable
from zcfast.report import page, text, trajectories
from zcfast.scoring.store import Store
from zcfast.spaces.listing import read_architectures

LOADED = (rich.console, rich.progress, rich.table, tables, page, text, trajectories)  # before the processes begin
MOST_BYTES, MOST_SECONDS, LONGEST = 1 << 30, 10, 2000
OTHERS = ("show", "listing", "images", "state", "parts")  # kinds that are no accuracies
NAMES = ("file", "file.csv.gz", "file.pickle.pbz2", "file.parquet", "file.npz", "file.pth", "\x1b[31m[red]")
NO_MEMORY = ("MemoryError", "Unable to allocate", "bad_alloc", "malloc", "not enough memory")


def command(kind: str, path: Path, out: Path) -> list[str] | None:
    """The words of the command that reads a file; None where none takes it alone."""
    words = {
        "show": ["show", path],
        "listing": ["score", "nasbench201", "--architectures", path, "--proxies", "params", "--out", out],
    }
    if kind in OTHERS:
        return [*map(str, words[kind])] if kind in words else None
    return ["import", kind, str(path), "--out", str(out)]


def values(kind: str, path: Path) -> object:
    """All that the reader of a kind makes of a file."""
    if kind == "show":
        if search.trajectory.is_trajectory(path):
            return vars(search.Trajectory.load(path))
        read = scores.Scores.load(path)
        return read.cells.tensors(), read.columns, read.provenance, read.reasons
    if kind == "listing":
        return SPACE.format(read_architectures(SPACE, path))
    if kind == "images":
        batch = images.load_images(path, 2, 0)
        return batch.inputs, batch.targets, batch.classes
    if kind == "state":
        return vars(search.load_state(search.ALGORITHMS["ageing_evolution"].state, path))
    if kind == "parts":
        with warnings.catch_warnings(), Store(path) as store:
            warnings.simplefilter("ignore")
            return set(map(str, store.begin(CLAIMS, TEXTS).items()))
    table = zcfast.table(kind, path)
    return table.names, table.headline, {name: vars(metric) for name, metric in table.metrics.items()}


def digest(value: object) -> str:
    """A text that only equal values have; of a set, one for each of its parts."""
    if isinstance(value, set):
        return " ".join(sorted(map(digest, value)))

    def plain(each: Any) -> object:
        if isinstance(each, torch.Tensor):
            return each.tolist()
        return vars(each) if hasattr(each, "__dict__") else str(each)

    return hashlib.sha256(json.dumps(value, default=plain, sort_keys=True).encode()).hexdigest()[:16]


def run_command(words: list[str]) -> int:
    """The exit status of a command in this process."""
    sys.argv = ["zcfast", *words]
    try:
        cli.main()
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


class Reader:
    """Reads files one after another in a process that prints into two files of its own."""

    def __init__(self, place: Path) -> None:
        self.place, self.terminal = place, os.fdopen(os.dup(1), "w")
        for number, name in ((1, "stdout"), (2, "stderr")):
            os.dup2(os.open(place / name, os.O_RDWR | os.O_CREAT | os.O_TRUNC), number)
        sys.stdout, sys.stderr = (os.fdopen(number, "w") for number in (1, 2))
        self.memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def read(self, sample: Sample, path: Path) -> tuple[int, str, list[str], list[str]]:
        """Exit status, digest of the values, and the lines of error and of output."""
        for number in (1, 2):
            os.ftruncate(number, 0), os.lseek(number, 0, os.SEEK_SET)
        came, error = "", []
        words = command(sample.kind, path, self.place / "out")
        status = 0 if words is None else run_command(words)
        sys.stdout.flush(), sys.stderr.flush()
        if status == 0:
            try:
                came = digest(values(sample.kind, path))
            except ValueError as raised:
                status, error = 1, [f"zcfast: {printable(str(raised))}"]
        shown, said = ((self.place / name).read_text(errors="surrogateescape") for name in ("stdout", "stderr"))
        return status, came, [*said.splitlines(), *error], shown.splitlines()

    def findings(self, sample: Sample, path: Path, right: set[str]) -> Iterator[str]:
        """What is wrong with how a file is read; the word for it all is kept in `self.outcome`."""
        self.outcome, start = "raised", time.process_time()
        signal.alarm(20 * MOST_SECONDS)
        try:
            status, came, said, shown = self.read(sample, path)
        except BaseException as error:  # what ends in a traceback
            yield f"{type(error).__name__}: {error} at {traceback.extract_tb(error.__traceback__)[-1]}"
            return
        self.outcome = "loaded" if came else "refused"
        if status not in (0, 1) or (status == 1) != (len(said) == 1):
            yield f"status {status} with {len(said)} lines of error: {said[-1:]!r:.300}"
        if not all(line.startswith("zcfast: ") and len(line) < LONGEST for line in said):
            yield f"more than a line of error: {said[-1]:.300}"
        if not all(line.isprintable() for line in (*said, *shown)):
            yield f"codes for a terminal: {said + shown!r:.300}"
        if said and (printable(str(path)) not in said[0] or any(word in said[0] for word in NO_MEMORY)):
            yield f"an error without the file, or out of memory: {said[0]:.300}"
        if sample.checked and not set(came.split()) <= right:
            yield "other values than those of the undamaged file"
        seconds = time.process_time() - start
        memory = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - self.memory)
        if seconds > MOST_SECONDS or memory > MOST_BYTES:
            yield f"{seconds:.1f} s, {memory:,} bytes"


@dataclass
class Plan:
    """What to damage, and where files and counts lie."""

    every: list[Sample]
    seed: int
    directory: Path
    keep: Path | None

    def damaged(self, number: int) -> tuple[Sample, Path]:
        """A damaged sample, written; `checked` only where a checksum can show the damage."""
        chance = random.Random(f"{self.seed} {number}")
        sample = chance.choice(self.every)
        others = [content for other in self.every for content in other.files.values()]
        files, name = dict(sample.files), chance.choice([*sample.files])
        content, own = damage.damaged(files[name], chance, others)
        if name == "file":
            files, name = {}, chance.choice(NAMES)
        files[name] = content
        sample = replace(sample, checked=sample.checked and own)
        return sample, self.write(sample, files, str(number))

    def write(self, sample: Sample, files: dict[str, bytes], label: str) -> Path:
        place = self.directory / label
        place.mkdir()
        for name, content in files.items():
            (place / name).write_bytes(content)
        return place / next(iter(files)) if "file" in sample.files else place

    def right(self, reader: Reader) -> dict[str, set[str]]:
        """The digests of the undamaged samples of each kind."""
        found: dict[str, set[str]] = defaultdict(set)
        for number, sample in enumerate(self.every):
            status, came, said, _ = reader.read(sample, self.write(sample, sample.files, f"right {number}"))
            if not came:
                print(f"{sample.name} does not load, status {status}: {said}", file=reader.terminal, flush=True)
                os._exit(2)
            found[sample.kind].update(came.split())
        return found

    def run(self, numbers: Sequence[int], done: Path) -> None:
        """In a process of its own: damage and read, and note each number before and what came after it."""
        place = Path(tempfile.mkdtemp(dir=self.directory))
        self.directory = place
        reader = Reader(place)
        right = self.right(reader)
        reader.memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with done.open("a") as notes:
            for number in numbers:
                print(number, end=" ", file=notes, flush=True)
                sample, path = self.damaged(number)
                wrong = [*reader.findings(sample, path, right[sample.kind])]
                for each in wrong:
                    print(f"{sample.name}, file {number}: {each}", file=reader.terminal, flush=True)
                if wrong and self.keep is not None:
                    shutil.copytree(place / str(number), self.keep / str(number), dirs_exist_ok=True)
                shutil.rmtree(place / str(number))
                print("found" if wrong else reader.outcome, file=notes, flush=True)


def warm_up() -> None:
    """Import and look up here what every process would."""
    for module in pkgutil.walk_packages(zcfast.__path__, "zcfast."):
        if "._" not in module.name:  # neither the program nor what is compiled
            importlib.import_module(module.name)
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        run_command(["spaces"])
    for name in ("nasbench101", "nasbench201"):
        cells = zcfast.space(name).enumerate()[:1]
        for key in (cells, zcfast.space(name).keys(cells) if name == "nasbench101" else cells):
            tables.keys.rows_of(name, (), key)
    gc.freeze()


def process(plan: Plan, numbers: Sequence[int], done: Path) -> int:
    """Start a process for some of the files; its id."""
    started = os.fork()
    if started == 0:
        try:
            plan.run(numbers, done)
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
        os._exit(0)
    return started


def counts(plan: Plan, files: int, jobs: int) -> Counter[str]:
    """Read all files in so many processes; how often each outcome came. A process that dies is a finding."""
    left = [list(range(job, files, jobs)) for job in range(jobs)]
    notes = [plan.directory / f"notes {job}" for job in range(jobs)]
    running = {process(plan, left[job], notes[job]): job for job in range(jobs)}
    while running:
        ended, status = os.wait()
        job = running.pop(ended)
        begun = notes[job].read_text().splitlines() if notes[job].exists() else []
        if len(begun) < len(range(job, files, jobs)):
            if os.waitstatus_to_exitcode(status) == 2 or not begun or " " not in begun[-1].strip() + " ":
                break
            last = int(begun[-1].split()[0])
            if not begun[-1].endswith(("found", "loaded", "refused", "raised")):
                print(f"file {last} ended the process with status {status}", flush=True)
                with notes[job].open("a") as file:
                    print("found", file=file)
            running[process(plan, [number for number in left[job] if number > last], notes[job])] = job
    return Counter(line.split()[1] for note in notes if note.exists() for line in note.read_text().splitlines())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    start = time.monotonic()
    warm_up()
    with tempfile.TemporaryDirectory() as directory:
        plan = Plan(samples(), given.seed, Path(directory), given.keep)
        came = counts(plan, given.files, given.jobs)
    print(f"{given.files} files in {time.monotonic() - start:.0f} s: {dict(came)}")
    sys.exit(came["found"] > 0 or came.total() != given.files)


if __name__ == "__main__":
    main()
