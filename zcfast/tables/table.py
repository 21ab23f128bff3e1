"""The one type that every reader of accuracies returns."""

from __future__ import annotations

import dataclasses
import os

import torch
from torch import Tensor

from zcfast import notebook
from zcfast.errors import unknown
from zcfast.spaces import names as spaces
from zcfast.spaces import space as named_space
from zcfast.tables import stored
from zcfast.tables.keys import Keys, rows_of
from zcfast.tables.metric import Metric


@dataclasses.dataclass(frozen=True, eq=False)
class Table:
    """What trained architectures reached.

    Attributes:
        space: name of the search space, or of the benchmark where zcfast has no such space.
        metrics: metric name -> its measurement, N = len(table).
        headline: the metrics that a summary shows.
        description: one line: what was trained and measured.
        names: the architectures' names in the benchmark; () where the rows are those of the space's `enumerate()`.

    Errors: ValueError for a metric without one value for each architecture.
    """

    space: str
    metrics: dict[str, Metric]
    headline: tuple[str, ...]
    description: str
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the metrics against the rows."""
        for name, metric in self.metrics.items():
            if metric.values.shape[1] != len(self):
                raise ValueError(f"metric {name!r}: expected {len(self)} values, got {metric.values.shape[1]}")

    def __len__(self) -> int:
        """Number of rows: the architectures of the space, or those that have a name."""
        return len(self.names) or len(named_space(self.space))

    def __getitem__(self, metric: str) -> Tensor:
        """The mean over seeds of every architecture, float64 [N], NaN where missing; see `query`."""
        return self._metric(metric).at(torch.arange(len(self)))

    def query(self, keys: Keys, metric: str, seed: int | None = None) -> Tensor:
        """What architectures reached in one metric, whose unit, split, epochs and seeds are in `metrics[metric]`.

        Args:
            keys: N architectures: cells of the space; rows, integers [N] in a tensor, array or sequence; keys of the
                benchmark as `space.keys` has them, e.g. digests uint8 [N, 16]; strings, each a name in the benchmark,
                hexadecimal digits of a hash, or what `space.parse` takes.
            metric: a name of `metrics`.
            seed: one of the metric's seeds; by default the mean of the runs that there are.

        Returns:
            float64 [N] in the metric's unit; NaN where the table has no such architecture or no value for it.

        Errors: ValueError for an unknown metric or seed and for keys that cannot be read.
        """
        measured = self._metric(metric)
        rows = rows_of(self.space, self.names, keys)
        return measured.at(rows.clamp(min=0), seed).masked_fill(rows < 0, torch.nan)

    def __repr__(self) -> str:
        """One line: the space, the sizes and the description."""
        return f"Table({self.space}: {len(self)} rows, {len(self.metrics)} metrics; {self.description})"

    def _repr_html_(self) -> str:
        """A short table of the metrics for a notebook."""
        rows = []
        for name, metric in list(self.metrics.items())[: notebook.COLUMNS]:
            values = int((~metric.values.isnan().all(0)).sum())
            epochs, seeds = "" if metric.epochs is None else str(metric.epochs), ", ".join(map(str, metric.seeds))
            rows.append([name, metric.dataset, metric.split, epochs, metric.unit, seeds, f"{values:,}"])
        kind = "architectures" if self.space in spaces() else "entries"
        size, metrics = f"{len(self):,} {kind}", notebook.count(len(self.metrics), "metric")
        headings = ("metric", "data", "split", "epochs", "unit", "seeds", "values")
        left_out = ((len(self.metrics) - notebook.COLUMNS, "metric"),)
        return notebook.table(f"{self.space}: {size}, {metrics}. {self.description}", headings, rows, left_out)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the table as a Parquet file with checksums, which `zcfast.table` reads; whole or not at all.

        Errors: OSError for a path that cannot be written.
        """
        stored.save(path, len(self), **{field.name: getattr(self, field.name) for field in dataclasses.fields(self)})

    def _metric(self, name: str) -> Metric:
        if name not in self.metrics:
            raise unknown("metric", name, self.metrics)
        return self.metrics[name]


def scatter(index: Tensor, values: Tensor, size: int) -> Tensor:
    """Put `values` [N] at the rows `index` [N] of a float64 [size] column that is NaN elsewhere."""
    column = torch.full((size,), torch.nan, dtype=torch.float64)
    column[index] = values.double()
    return column


def check_rows(index: Tensor, space: str) -> None:
    """Raise a ValueError if a row is no architecture of the space (-1) or two rows are the same one."""
    if bool((index < 0).any()):
        row = int((index < 0).nonzero()[0])
        raise ValueError(f"row {row}: expected an architecture of {space}, got one outside the space")
    ordered, rows = torch.sort(index, stable=True)
    repeated = (ordered[1:] == ordered[:-1]).nonzero()
    if len(repeated):
        first = int(repeated[0])
        raise ValueError(f"rows {int(rows[first])} and {int(rows[first + 1])}: the same architecture of {space} twice")
