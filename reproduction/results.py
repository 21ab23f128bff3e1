"""What a reproduced table or figure holds: one row a number, beside the paper's."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

from reproduction.paper import NOT_SEEN, Reference
from zcfast.analysis import Interval

if TYPE_CHECKING:
    import pyarrow


@dataclasses.dataclass(frozen=True)
class Row:
    """One number of a table.

    Attributes:
        benchmark: search space and data set, or what was varied.
        accuracy: the metric of the table of accuracies that it is compared with.
        proxy: column of scores.
        measure: what the number says, with its unit.
        rows: how many architectures, or neighbourhoods, it is of; 0 where there is no number.
        ours, low, high: the number and its 95 % bootstrap interval; NaN where there is none.
        reference: the paper's number.
        note: why there is no number, or what to know about it.
    """

    benchmark: str
    accuracy: str
    proxy: str
    measure: str
    rows: int = 0
    ours: float = math.nan
    low: float = math.nan
    high: float = math.nan
    reference: Reference = dataclasses.field(default_factory=Reference)
    note: str = ""

    @property
    def published(self) -> float:
        """The paper's number, or that of the authors' notebooks; NaN where neither was seen."""
        for value in (self.reference.paper, self.reference.authors):
            if value is not None:
                return value
        return math.nan

    @property
    def difference(self) -> float:
        """Ours less the published one."""
        return self.ours - self.published

    @property
    def outside(self) -> bool:
        """Whether the published number lies outside our interval, by more than the rounding of its digits."""
        return self.published < self.low - self._rounding or self.published > self.high + self._rounding

    @property
    def _rounding(self) -> float:
        return 0.005 if self.reference.paper is not None else 0.0005

    def with_interval(self, interval: Interval, rows: int) -> Row:
        """The row with our number."""
        numbers = (interval.estimate, interval.low, interval.high)
        return dataclasses.replace(self, rows=rows, ours=numbers[0], low=numbers[1], high=numbers[2])

    def values(self) -> dict[str, object]:
        """The row as it goes into files; None where there is no number."""
        numbers = {
            "paper": self.reference.paper,
            "authors": self.reference.authors,
            "ours": self.ours,
            "low": self.low,
            "high": self.high,
            "difference": self.difference,
        }
        return {
            "benchmark": self.benchmark,
            "accuracy": self.accuracy,
            "proxy": self.proxy,
            "measure": self.measure,
            "rows": self.rows,
            **{name: _or_none(value) for name, value in numbers.items()},
            "source": self.reference.source or NOT_SEEN,
            "note": self.note,
        }


@dataclasses.dataclass(frozen=True)
class Result:
    """A reproduced table or figure."""

    target: str
    title: str
    rows: list[Row]
    notes: tuple[str, ...] = ()

    def to_arrow(self) -> pyarrow.Table:
        """One row a number; missing numbers are null."""
        import pyarrow

        texts = [(name, pyarrow.string()) for name in ("benchmark", "accuracy", "proxy", "measure")]
        numbers = [(name, pyarrow.float64()) for name in ("paper", "authors", "ours", "low", "high", "difference")]
        fields = [*texts, ("rows", pyarrow.int64()), *numbers, ("source", pyarrow.string()), ("note", pyarrow.string())]
        return pyarrow.Table.from_pylist([row.values() for row in self.rows], schema=pyarrow.schema(fields))


def _or_none(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else float(value)
