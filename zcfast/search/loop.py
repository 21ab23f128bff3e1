"""The run loop: a table's look-ups or real trainings, one step of all runs after the other or by many workers."""

from __future__ import annotations

import concurrent.futures
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from zcfast.data.provenance import Provenance
from zcfast.devices import present_device
from zcfast.errors import Portable, first_line, integer
from zcfast.search.algorithm import Algorithm
from zcfast.search.listed import listed_space
from zcfast.search.proxy import Proxy
from zcfast.search.source import Evaluate, Repetition, TableSource, evaluated
from zcfast.search.streams import Streams
from zcfast.search.trajectory import Trajectory
from zcfast.spaces import CellSpace, SearchSpace
from zcfast.tables import Table
from zcfast.version import __version__


@dataclasses.dataclass(frozen=True, eq=False)
class Trained:
    """Trainings that have just ended, numbers first to first + K - 1 (from 0) of M runs.

    runs: int64 [M]. rows: int64 [M, K], objective and report: float64 [M, K].
    """

    runs: Tensor
    first: int
    rows: Tensor
    objective: Tensor
    report: Tensor


class SearchInterrupted(Portable, KeyboardInterrupt):
    """Ctrl-C during a search; `trajectory` has every training that had ended."""

    def __init__(self, trajectory: Trajectory) -> None:
        """Keep the trajectory."""
        super().__init__("interrupted")
        self.trajectory = trajectory


class SearchFailed(Portable, RuntimeError):  # noqa: N818 - named as SearchInterrupted
    """`evaluate` raised, which is the cause, or gave no accuracies; `trajectory` has every training that had ended."""

    def __init__(self, trajectory: Trajectory, cause: Exception) -> None:
        """Keep the trajectory and say what was raised."""
        ended = int((trajectory.rows >= 0).sum())
        reason = f"{type(cause).__name__}: {first_line(cause)}"
        super().__init__(f"evaluate failed after {ended} trainings, which .trajectory has: {reason}")
        self.trajectory = trajectory


class _EvaluateError(Exception):
    """Takes what `evaluate` raised to where the trajectory is."""

    def __init__(self, raised: Exception) -> None:
        super().__init__()
        self.raised = raised


def run(
    algorithm: Algorithm[Any],
    space: str | SearchSpace[Any],
    table: Table | Evaluate,
    *,
    budget: int = 300,
    runs: int = 32,
    objective: str | None = None,
    report: str | None = None,
    repetition: Repetition = "mean",
    seed: int = 0,
    device: torch.device | str = "cpu",
    workers: int | None = None,
    executor: concurrent.futures.Executor | None = None,
    callback: Callable[[Trained], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Trajectory:
    """Run a search several times independently and keep what each run finds.

    Args:
        algorithm: what proposes the next training.
        space: the search space or its name.
        table: accuracies to look up, or a function `evaluate(architectures) -> accuracies` that trains: it takes a
            batch of M cells of the space and gives M numbers, higher is better, NaN where a training failed.
        budget: trainings of each run, 1 to the size of the space.
        runs: how many runs, each with random numbers of its own.
        objective: the table's metric that the search maximises; by default the validation metric of the data and epochs
            of `report`, if the table has one, or else `report`.
        report: the metric in which the architecture with the highest objective is shown; by default the objective, if
            it is given, or else the table's first headline.
        repetition: "mean" of a metric's training runs, or "random": one of them, drawn at each training.
        seed: of all runs.
        device: where the runs' tensors lie.
        workers: call `evaluate` for one architecture at a time from as many threads; by default it is called with one
            architecture of each run together. What a run proposes then depends on the order in which trainings end.
        executor: runs those calls in place of threads, `workers` at a time.
        callback: called with each `Trained`.
        progress: called with the number of trainings done and of all trainings.

    Returns:
        The trajectories [runs, budget].

    Raises:
        ValueError: no algorithm, a number out of range, a device that is not there, a table of another space or without
            accuracies, an unknown metric.
        SearchFailed: what the function raised is its cause; it has the trajectories so far.
        SearchInterrupted: on Ctrl-C; it is a KeyboardInterrupt with the trajectories so far.
    """
    _check_algorithm(algorithm)
    searched = listed_space(space, algorithm.needs)
    budget, runs, seed = integer("budget", budget), integer("runs", runs), integer("seed", seed)
    device = present_device(device)
    if not 1 <= budget <= len(searched):
        raise ValueError(f"budget: expected 1 to {len(searched)} trainings, the size of the space, got {budget}")
    if not isinstance(table, Table):
        _check_evaluate(table, objective, report, repetition)
    else:
        _check_table(table, searched.name, workers, executor)
    record = _Record.empty(runs, budget, device)
    made: dict[str, Any] = {"algorithm": describe(algorithm)}
    options = {"runs": runs, "seed": seed, "device": device}
    if isinstance(table, Table):
        source = TableSource(table, objective, report, repetition, Streams.of(seed, runs, device=device))
        described = {"repetition": repetition, "table": table.description}
        made |= {"objective": source.objective, "report": source.report, **described}
        steps = _looked_up(algorithm, searched, source, budget, options)
    elif workers is None and executor is None:
        steps = _lockstep(algorithm, searched, _together(table, searched), budget, options)
    else:
        steps = _asynchronous(algorithm, searched, table, budget, options, 1 if workers is None else workers, executor)
    provenance, done = Provenance(__version__, seed=seed, options=made), 0
    try:
        for trained in steps:
            record.write(trained)
            done += trained.rows.numel()
            if callback:
                callback(trained)
            if progress:
                progress(done, runs * budget)
    except KeyboardInterrupt as error:
        raise SearchInterrupted(record.trajectory(searched, provenance)) from error
    except _EvaluateError as error:
        raise SearchFailed(record.trajectory(searched, provenance), error.raised) from error.raised
    return record.trajectory(searched, provenance)


def describe(algorithm: Algorithm[Any]) -> dict[str, Any]:
    """An algorithm's name and options as JSON values; of scores how many are used."""
    options = {field.name: getattr(algorithm, field.name) for field in dataclasses.fields(algorithm)}
    plain = {name: value.amount if isinstance(value, Proxy) else value for name, value in options.items()}
    return {"name": algorithm.name, **plain}


@dataclasses.dataclass(frozen=True)
class _Record:
    """rows, objective and report [runs, budget], filled as trainings end."""

    rows: Tensor
    objective: Tensor
    report: Tensor

    @classmethod
    def empty(cls, runs: int, budget: int, device: torch.device | str) -> _Record:
        if runs < 1:
            raise ValueError(f"runs: expected a number >= 1, got {runs}")
        values = torch.full((2, runs, budget), torch.nan, dtype=torch.float64, device=device)
        return cls(torch.full((runs, budget), -1, device=device), values[0], values[1])

    def write(self, trained: Trained) -> None:
        every = len(trained.runs) == len(self.rows)
        runs = slice(None) if every else trained.runs
        place = (runs, slice(trained.first, trained.first + trained.rows.shape[1]))
        self.rows[place], self.objective[place], self.report[place] = trained.rows, trained.objective, trained.report

    def trajectory(self, space: CellSpace[Any], provenance: Provenance) -> Trajectory:
        return Trajectory(space.name, self.rows, self.objective, self.report, provenance)


def _check_algorithm(algorithm: Any) -> None:
    if not isinstance(algorithm, Algorithm):
        came = f"the class {algorithm.__name__}" if isinstance(algorithm, type) else repr(algorithm)
        raise ValueError(f"algorithm: expected an instance such as search.random_search(), got {came}")


def _check_table(table: Table, space: str, workers: object, executor: object) -> None:
    if table.space != space:
        raise ValueError(f"table: expected accuracies of {space}, got those of {table.space}")
    if workers is not None or executor is not None:
        raise ValueError("workers: no effect on a table, whose accuracies are looked up")


def _check_evaluate(evaluate: Any, objective: str | None, report: str | None, repetition: str) -> None:
    if not callable(evaluate):
        raise ValueError(f"table: expected a table or a function of architectures, got {type(evaluate).__name__}")
    if objective is not None or report is not None or repetition != "mean":
        raise ValueError("objective, report and repetition: no effect on a function that evaluates")


Query = Callable[[Tensor, int], tuple[Tensor, Tensor]]


def _together(evaluate: Evaluate, space: CellSpace[Any]) -> Query:
    def query(rows: Tensor, step: int) -> tuple[Tensor, Tensor]:
        try:
            accuracies = evaluated(evaluate, space, rows)
        except Exception as error:
            raise _EvaluateError(error) from error
        return accuracies, accuracies

    return query


def _lockstep(
    algorithm: Algorithm[Any], space: CellSpace[Any], query: Query, budget: int, options: dict[str, Any]
) -> Iterator[Trained]:
    """One training of every run after the other."""
    state = algorithm.init(space, **options)
    runs = torch.arange(state.runs, device=state.device)
    for number in range(budget):
        rows, state = algorithm.ask(state)
        objective, report = query(rows, number)
        state = algorithm.tell(state, rows, objective)
        yield Trained(runs, number, rows[:, None], objective[:, None], report[:, None])


def _looked_up(
    algorithm: Algorithm[Any], space: CellSpace[Any], source: TableSource, budget: int, options: dict[str, Any]
) -> Iterator[Trained]:
    """Some trainings of every run after the others; one where each is drawn from several."""
    if source.repetition != "mean":
        yield from _lockstep(algorithm, space, source.query, budget, options)
        return
    state = algorithm.init(space, **options)
    runs = torch.arange(state.runs, device=state.device)
    while state.told < budget:
        first = state.told
        rows, state = algorithm.advance(state, source.means[0], min(algorithm.look_ups, budget - first))
        yield Trained(runs, first, rows, source.means[0][rows], source.means[1][rows])


def _asynchronous(
    algorithm: Algorithm[Any],
    space: CellSpace[Any],
    evaluate: Evaluate,
    budget: int,
    options: dict[str, Any],
    workers: int,
    executor: concurrent.futures.Executor | None,
) -> Iterator[Trained]:
    """Each run has a state of its own, and a free worker goes to the run that was asked least."""
    if integer("workers", workers) < 1:
        raise ValueError(f"workers: expected a number >= 1, got {workers}")
    runs = options.pop("runs")
    states = [algorithm.init(space, runs=1, first_run=run, **options) for run in range(runs)]
    pool = executor or concurrent.futures.ThreadPoolExecutor(workers)
    pending: dict[concurrent.futures.Future[Tensor], tuple[int, Tensor]] = {}
    try:
        while True:
            while len(pending) < workers:
                run = min(range(runs), key=lambda each: states[each].asked)
                if states[run].asked == budget:
                    break
                rows, states[run] = algorithm.ask(states[run])
                pending[pool.submit(evaluated, evaluate, space, rows)] = (run, rows)
            if not pending:
                return
            ended = concurrent.futures.wait(pending, return_when=concurrent.futures.FIRST_COMPLETED).done
            # Those that failed come last, so that the others' accuracies are kept.
            for future in sorted(ended, key=lambda each: (_failed(each), pending[each][0])):
                run, rows = pending.pop(future)
                try:
                    accuracies = future.result()
                except Exception as error:
                    raise _EvaluateError(error) from error
                number, reached = states[run].told, accuracies[:, None]
                states[run] = algorithm.tell(states[run], rows, accuracies)
                yield Trained(torch.tensor([run], device=rows.device), number, rows[:, None], reached, reached)
    finally:
        for future in pending:
            future.cancel()
        if executor is None:
            pool.shutdown(wait=False, cancel_futures=True)


def _failed(future: concurrent.futures.Future[Tensor]) -> bool:
    return future.cancelled() or future.exception() is not None
