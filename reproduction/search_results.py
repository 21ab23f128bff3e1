"""What a reproduced comparison of searches holds: one row a number of an algorithm's runs, beside the paper's."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from scipy.stats import binom
from torch import Tensor

from reproduction.paper import NOT_SEEN, Reference
from zcfast.search import Trajectory, quartiles_by_trainings, trainings_to_target

if TYPE_CHECKING:
    import pyarrow

COVERAGE = 0.95
COUNTS = (10, 34, 50, 100, 150, 300)  # trainings after which accuracies are printed
# Type of pyarrow -> columns of the files, in their order.
TYPES = (
    ("string", ("benchmark", "chosen_by", "shown", "algorithm")),
    ("int64", ("runs", "budget", "trainings")),
    ("float64", ("target",)),
    ("int64", ("reached",)),
    ("float64", ("worst", "lower_quartile", "median", "upper_quartile", "best", "low", "high", "paper", "difference")),
    ("string", ("source", "note")),
)


@dataclasses.dataclass(frozen=True)
class SearchRow:
    """What the runs of one algorithm have reached after some trainings, or after how many they reach a target.

    Attributes:
        benchmark: search space and data set.
        chosen_by, shown: the metric that is searched on, and that of the numbers.
        algorithm: its name.
        runs, budget: how many runs, and trainings of each.
        trainings: after how many; None where a target is given.
        target: that is to be reached; None where the trainings are given.
        reached: how many runs reach the target; None without one.
        worst, lower_quartile, median, upper_quartile, best: over the runs, of the accuracy, or of the numbers of
            trainings, where the lowest is the best; NaN where there is none or the run never reaches the target.
        low, high: an interval with at least 95 % confidence for the median, NaN as there.
        reference: the paper's number.
        note: why there is no number, or what to know about it.
    """

    benchmark: str
    chosen_by: str
    shown: str
    algorithm: str
    runs: int = 0
    budget: int = 0
    trainings: int | None = None
    target: float | None = None
    reached: int | None = None
    worst: float = math.nan
    lower_quartile: float = math.nan
    median: float = math.nan
    upper_quartile: float = math.nan
    best: float = math.nan
    low: float = math.nan
    high: float = math.nan
    reference: Reference = dataclasses.field(default_factory=Reference)
    note: str = ""

    @property
    def difference(self) -> float:
        """The median less the paper's number; NaN where one of them is missing."""
        return self.median - (math.nan if self.reference.paper is None else self.reference.paper)


@dataclasses.dataclass(frozen=True)
class SearchResult:
    """A reproduced table or figure of searches."""

    target: str
    title: str
    rows: list[SearchRow]
    notes: tuple[str, ...] = ()

    def to_arrow(self) -> pyarrow.Table:
        """One row a number; missing numbers are null."""
        import pyarrow

        schema = pyarrow.schema([(name, getattr(pyarrow, kind)()) for kind, names in TYPES for name in names])
        return pyarrow.Table.from_pylist([_values(row) for row in self.rows], schema=schema)


def accuracy_rows(row: SearchRow, trajectory: Trajectory, counts: Sequence[int]) -> list[SearchRow]:
    """A row for each number of trainings up to the budget: the shown accuracy of the best so far."""
    counts = [count for count in counts if count <= row.budget]
    rows = []
    for numbers in quartiles_by_trainings({row.algorithm: trajectory}, counts).to_pylist():
        low, high = median_interval(trajectory.best_so_far[:, numbers["trainings"] - 1])
        rows.append(dataclasses.replace(row, **numbers, low=low, high=high))
    return rows


def target_row(row: SearchRow, trajectory: Trajectory, target: float) -> SearchRow:
    """The number of trainings until the best so far reaches a target."""
    counts = trajectory.trainings_to(target)
    (found,) = trainings_to_target({row.algorithm: trajectory}, target).to_pylist()
    numbers: dict[str, Any] = {name: math.nan if value is None else value for name, value in found.items()}
    ordered = counts.sort().values
    numbers |= {"target": target, "best": float(ordered[0]), "worst": float(ordered[-1])}
    numbers["low"], numbers["high"] = median_interval(counts)
    return dataclasses.replace(row, **numbers)


def median_interval(values: Tensor) -> tuple[float, float]:
    """Two of the sorted values [R], between which the median lies with at least 95 % confidence; NaN comes last.

    The number of values below the median is binomial, whatever their distribution. With fewer than 6 values the two
    are the lowest and the highest, whose confidence is lower.
    """
    ordered = values.sort().values
    place = max(int(binom.ppf((1 - COVERAGE) / 2, len(ordered), 0.5)) - 1, 0)
    return float(ordered[place]), float(ordered[len(ordered) - 1 - place])


def _values(row: SearchRow) -> dict[str, object]:
    """The row as it goes into files."""
    values = {field.name: getattr(row, field.name) for field in dataclasses.fields(row) if field.name != "reference"}
    values |= {"paper": row.reference.paper, "difference": row.difference, "source": row.reference.source}
    if row.target is not None and not row.reference.source:
        values["source"] = NOT_SEEN
    return {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in values.items()}
