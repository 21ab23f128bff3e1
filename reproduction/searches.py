"""Tables 3 and 7 and figures 4, 5, 7 and 8: what searches reach, with and without zero-cost warm-up and moves."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any

from reproduction.benchmarks import NASBENCH101, NASBENCH201, Benchmark
from reproduction.context import Context
from reproduction.paper import reference
from reproduction.search_results import COUNTS, SearchResult, SearchRow, accuracy_rows, target_row
from reproduction.trajectories import Search, stored
from zcfast.search import ALGORITHMS, Algorithm, Repetition, Trajectory, paper_algorithms, regressor, warmup

RUNS, BUDGET = 100, 300
SLOW = {"binary_predictor": (10, 100), "regressor": (10, 100)}  # algorithm -> runs, budget: seconds a run
WARM, MORE_WARM = 3000, 15_000
CURVE = (*range(1, 50), *range(50, BUDGET + 1, 5))
PROXY = "expected_synflow"
OWN = " (not the paper's)"


@dataclasses.dataclass(frozen=True)
class Setting:
    """What is searched and how it is judged.

    Attributes:
        benchmark: space and accuracies.
        title: as it is printed.
        objective, report: the metric that chooses and the one that is shown.
        targets: in the unit of the latter.
        repetition: of `search.run`.
        more_warm: whether evolution is also warmed up with MORE_WARM architectures.
    """

    benchmark: Benchmark
    title: str
    objective: str
    report: str
    targets: tuple[float, ...]
    repetition: Repetition = "mean"
    more_warm: bool = False


def _nasbench201(place: int, data: str, target: float) -> Setting:
    benchmark = NASBENCH201[place]
    return Setting(benchmark, benchmark.title, f"valid_{data}", f"test_{data}", (target,))


CIFAR10, CIFAR100, IMAGENET16 = (
    _nasbench201(place, *each)
    for place, each in enumerate((("cifar10", 94.37), ("cifar100", 73.5), ("imagenet16", 47.3)))
)
CIFAR10_DRAWN = dataclasses.replace(
    CIFAR10, title=f"{CIFAR10.title}, a training run drawn", objective="seeds_test_cifar10", repetition="random"
)
NASBENCH101_TEST = Setting(NASBENCH101, NASBENCH101.title, "test", "test", (0.94, 0.9422), more_warm=True)
# Target -> title, settings, and how the paper's caption is read.
TABLES: dict[str, tuple[str, tuple[Setting, ...], str]] = {
    "table3": (
        "Trainings until a search on NAS-Bench-101 reaches an accuracy",
        (NASBENCH101_TEST,),
        "The paper's caption was not seen. That it counts trained models to 94.22 % on NAS-Bench-101 is read from a "
        "question and its answer in the authors' repository; the methods of others that it may list are not run here.",
    ),
    "table7": (
        "What searches on NAS-Bench-201 reach",
        (CIFAR100, CIFAR10, CIFAR10_DRAWN, IMAGENET16),
        "The paper's caption was not seen: here it is the table of searches on the three data sets of NAS-Bench-201.",
    ),
}
FIGURES: dict[str, tuple[str, Setting, str]] = {
    "figure4": (
        "Searches on NAS-Bench-201 CIFAR-100",
        CIFAR100,
        "The authors' README shows such a figure: warm-up and move proposal with four algorithms on NAS-Bench-201; "
        "their example notebook searches on CIFAR-100.",
    ),
    "figure5": (
        "Searches on NAS-Bench-101",
        NASBENCH101_TEST,
        "The paper's caption was not seen: the abstract reports searches on NAS-Bench-101.",
    ),
    "figure7": (
        "Searches on NAS-Bench-201 CIFAR-10, a training run drawn at each training",
        CIFAR10_DRAWN,
        "The paper's caption was not seen: here it is the search on CIFAR-10, the only data set with single runs.",
    ),
    "figure8": (
        "Searches on NAS-Bench-201 ImageNet16-120",
        IMAGENET16,
        "The paper's caption was not seen: here it is the search on ImageNet16-120.",
    ),
}
SOURCE_NOTE = f"the reader writes RAND: random search with warm-up, and of {WARM:,} architectures, is our reading"


def table(context: Context, target: str) -> SearchResult:
    """One of TABLES: accuracies after COUNTS trainings and trainings to the targets, `regressor` beside the paper's."""
    title, settings, reading = TABLES[target]
    rows: list[SearchRow] = []
    for setting in settings:
        made, reason = trajectories(context, setting, own=True)
        rows += [_without_numbers(setting, reason)] if reason else []
        for name, trajectory in made.items():
            row = _row(setting, name, trajectory)
            rows += accuracy_rows(row, trajectory, COUNTS)
            for goal in setting.targets:
                rows.append(_beside_the_paper(target_row(row, trajectory, goal), target, setting))
    return SearchResult(target, title, rows, (reading, *_notes(context, settings)))


def figure(context: Context, target: str) -> SearchResult:
    """One of FIGURES: the paper's algorithms after each number of trainings of CURVE."""
    title, setting, reading = FIGURES[target]
    made, reason = trajectories(context, setting, own=False)
    rows = [_without_numbers(setting, reason)] if reason else []
    for name, trajectory in made.items():
        rows += accuracy_rows(_row(setting, name, trajectory), trajectory, CURVE)
    return SearchResult(target, title, rows, (reading, *_notes(context, (setting,))))


def trajectories(context: Context, setting: Setting, own: bool) -> tuple[dict[str, Trajectory], str]:
    """The runs of each algorithm by its name, and why there are none; `own` adds those that are not the paper's."""
    accuracies = context.table(setting.benchmark)
    missing = [name for name in (setting.objective, setting.report) if name not in accuracies.metrics]
    if missing:
        return {}, f"the table of accuracies has no {missing[0]}"
    made = {}
    named = algorithms(context, setting, own)
    for done, (name, algorithm) in enumerate(named.items()):
        if context.progress:
            context.progress(done, len(named))
        runs, budget = SLOW.get(algorithm.name, (RUNS, BUDGET))
        search = Search(
            algorithm,
            setting.benchmark.space,
            setting.objective,
            setting.report,
            setting.repetition,
            runs,
            budget,
            context.seed,
        )
        make = partial(stored, search, accuracies, context.new_scores)
        made[name] = context.once(("search", setting.title, name), make)
    return made, ""


def algorithms(context: Context, setting: Setting, own: bool) -> dict[str, Algorithm[Any]]:
    """The paper's algorithms with the closed form of synflow, and ours if it is wanted."""
    scores = context.closed_forms(setting.benchmark)[PROXY]
    named = paper_algorithms(scores, WARM)
    if setting.more_warm:
        evolution = named["ageing_evolution"]
        named[f"ageing_evolution + warm-up {MORE_WARM:,}"] = warmup(evolution, scores, MORE_WARM)
    if own:
        named[f"regressor{OWN}"] = regressor()
        named[f"regressor + warm-up{OWN}"] = warmup(regressor(), scores, WARM)
    order = list(ALGORITHMS)
    return dict(sorted(named.items(), key=lambda each: order.index(each[1].name)))


def _row(setting: Setting, name: str, trajectory: Trajectory) -> SearchRow:
    runs, budget = trajectory.rows.shape
    return SearchRow(setting.title, setting.objective, setting.report, name, runs, budget)


def _without_numbers(setting: Setting, reason: str) -> SearchRow:
    return SearchRow(setting.title, setting.objective, setting.report, "all", note=reason)


def _beside_the_paper(row: SearchRow, target: str, setting: Setting) -> SearchRow:
    """The row with the paper's number of trainings, which is known for the highest target only."""
    if row.target != setting.targets[-1]:
        return row
    known = reference(target, setting.benchmark.name, row.algorithm)
    note = SOURCE_NOTE if known.paper is not None and row.algorithm.startswith("random_search") else ""
    return dataclasses.replace(row, reference=known, note=note)


def _notes(context: Context, settings: tuple[Setting, ...]) -> list[str]:
    """The protocol."""
    notes = [
        f"Warm-up scores {WARM:,} architectures where no number is given, warm-up and moves use {PROXY}, the mean of "
        f"synflow in closed form; all other options are the defaults. Seed {context.seed} for all algorithms.",
        f"Up to {BUDGET} trainings of {RUNS} runs; of "
        + ", ".join(f"{name} up to {budget} of {runs}" for name, (runs, budget) in SLOW.items())
        + ", which take seconds a run.",
    ]
    for setting in settings:
        if setting.repetition == "random":
            notes.append(
                f"{setting.title}: each training draws one of the three training runs that {setting.objective} has, "
                f"which chooses; shown is {setting.report}, the mean of the runs, of what was chosen."
            )
        elif setting.objective == setting.report:
            notes.append(
                f"{setting.title}: {setting.objective}, a mean of training runs, chooses and is shown; the data has no "
                "validation accuracies and no single runs."
            )
        else:
            notes.append(
                f"{setting.title}: {setting.objective} chooses, {setting.report} is shown, both means of training runs."
            )
    return notes
