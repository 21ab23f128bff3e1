"""Measures how long networks take here."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from zcfast.devices import find_device
from zcfast.errors import Portable, first_line, integer, unknown
from zcfast.latency.runners import RUNTIMES, Run
from zcfast.nets.inputs import Inputs, checked_inputs, mapped, sample_count
from zcfast.search.features import rows_of
from zcfast.spaces import Cells, SearchSpace, as_space

WARM_UP = 3  # runs of each network before the first that counts
ROUNDS = 15  # of all networks, one after the other: what slows the machine for a while slows all of them
SHORTEST = 2e-3  # s, of what the clock is read around: a shorter network runs several times


@dataclass(frozen=True, eq=False)
class Measured:
    """Latencies of n networks, in ms.

    Attributes:
        milliseconds: the median over the repeats of one run, float64 [n].
        spread: between the quartiles of the repeats, float64 [n].
        protocol: how it was measured, as JSON values.
    """

    milliseconds: Tensor
    spread: Tensor
    protocol: dict[str, Any]


class TooNoisyError(Portable, RuntimeError):
    """The repeats of one network differ more than the networks do; ``measured`` has the numbers all the same."""

    def __init__(self, measured: Measured) -> None:
        """Take the numbers."""
        spread, differences = float(measured.spread.median()), float(measured.milliseconds.std())
        super().__init__(
            f"latency: expected repeats that differ less than the networks, got {spread:.3g} ms between their "
            f"quartiles and {differences:.3g} ms of standard deviation between {len(measured.spread)} networks; leave "
            f"the machine idle, or take a larger batch or networks that differ more"
        )
        self.measured = measured


def measure(
    space: str | SearchSpace[Any],
    rows: Cells | Tensor | Sequence[int],
    *,
    device: str = "cpu",
    runtime: str = "torch",
    batch: int = 1,
    threads: int = 1,
    repeats: int = ROUNDS,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> Measured:
    """How long inference of networks takes on this machine.

    Each network is built, put in evaluation mode and warmed up. Then all run in turns, as often as there are repeats.

    Args:
        space: the search space or its name.
        rows: n architectures, or their rows in a space that lists them.
        device: "cpu" or "cuda".
        runtime: "torch", "torch.compile" or "onnxruntime".
        batch: samples at once, taken from the space's example, again and again if it has fewer.
        threads: of the CPU, torch's or onnxruntime's.
        repeats: how often each network is measured, >= 3.
        progress: called with the number of steps done and of all: each network built, each round of all of them.
        options: of the networks, as for ``space.build``.

    Raises:
        ValueError: a wrong argument, a network that cannot be built, exported or run.
        ImportError: onnxruntime or what exports to it is missing.
        TooNoisyError: of several networks, the spread between the quartiles of one's repeats is, in the median, larger
            than the standard deviation between the networks.
    """
    searched: SearchSpace[Any] = as_space(space)
    if runtime not in RUNTIMES:
        raise unknown("runtime", runtime, RUNTIMES)
    for name, value, least in (("batch", batch, 1), ("threads", threads, 1), ("repeats", repeats, 3)):
        if integer(name, value) < least:
            raise ValueError(f"{name}: expected a number >= {least}, got {value}")
    where, cells = find_device(device), rows_of(searched, rows)
    if not len(cells):
        raise ValueError("rows: expected at least one architecture, got none")
    if runtime == "torch.compile":
        torch.compiler.reset()  # so that none of what was compiled before counts
    inputs = _repeated(checked_inputs(searched.example_with(options).inputs, "example"), batch)
    with torch.random.fork_rng(), _threads(threads):  # networks may draw
        runs = (_runner(searched, cells[row], inputs, where, runtime, threads, options) for row in range(len(cells)))
        times = _milliseconds(runs, len(cells), repeats, progress or (lambda done, of: None))
    low, middle, high = times.quantile(torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64), 0)
    protocol = {"device": device, "runtime": runtime, "batch": batch, "threads": threads, "repeats": repeats}
    measured = Measured(middle, high - low, {**protocol, "torch": torch.__version__, "options": options})
    if len(cells) > 1 and float(measured.spread.median()) > float(middle.std()):
        raise TooNoisyError(measured)
    return measured


def _runner(
    space: SearchSpace[Any],
    cell: Any,
    inputs: Inputs,
    device: torch.device,
    runtime: str,
    threads: int,
    options: dict[str, Any],
) -> Run:
    module: nn.Module = space.build(cell, generator=torch.Generator().manual_seed(0), **options)
    module = copy.deepcopy(module).eval()  # it may be the user's own
    try:
        run = RUNTIMES[runtime](module, inputs, device, threads)
        run()
    except ImportError:
        raise
    except Exception as error:  # a foreign net: what it raises is the answer
        raise ValueError(f"{space.name}: {space.format(cell)[0]} does not run: {first_line(error)}") from error
    return run


def _milliseconds(runs: Iterable[Run], networks: int, repeats: int, report: Callable[[int, int], None]) -> Tensor:
    """Of each repeat and network, float64 [repeats, networks]."""
    ready = []
    for done, run in enumerate(runs, 1):
        ready.append((run, _warmed_up(run)))
        report(done, networks + repeats)
    rounds = []
    for done in range(networks + 1, networks + repeats + 1):
        rounds.append([_seconds(run, count) for run, count in ready])
        report(done, networks + repeats)
    return 1e3 * torch.tensor(rounds, dtype=torch.float64)


def _warmed_up(run: Run) -> int:
    """How often the network has to run for the clock."""
    taken = [_seconds(run, 1) for _ in range(WARM_UP)]
    return max(1, round(SHORTEST / max(min(taken), 1e-6)))


def _seconds(run: Run, count: int) -> float:
    started = time.perf_counter()
    for _ in range(count):
        run()
    return (time.perf_counter() - started) / count


def _repeated(inputs: Inputs, batch: int) -> Inputs:
    """So many samples, those of the inputs again and again."""
    rows = torch.arange(batch) % sample_count(inputs)
    return mapped(lambda x: x[rows.to(x.device)], inputs)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """torch's threads while it is entered."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
