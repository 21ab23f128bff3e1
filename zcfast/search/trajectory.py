"""What searches have found after each training."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from typing import Any

import torch
from torch import Tensor

from zcfast.errors import first_line
from zcfast.files import replace_file

FORMAT = 1
METADATA_KEY = b"zcfast-trajectory"
COLUMNS = ("run", "training", "row", "objective", "report", "best_so_far")


@dataclasses.dataclass(frozen=True, eq=False)
class Trajectory:
    """R runs of B trainings each.

    Attributes:
        space: name of the search space.
        rows: int64 [R, B], the architectures in the order of training, rows of the space's `enumerate()`; -1 where an
            interrupted run has none.
        objective: float64 [R, B], what they reached in the metric that the search maximises; NaN: failed or none.
        report: float64 [R, B], what they reached in the metric that is shown.
        protocol: how the runs were made, as JSON values.
    """

    space: str
    rows: Tensor
    objective: Tensor
    report: Tensor
    protocol: dict[str, Any]

    def __post_init__(self) -> None:
        """Check the shapes."""
        for name in ("objective", "report"):
            if getattr(self, name).shape != self.rows.shape or self.rows.dim() != 2:
                came = f"{list(self.rows.shape)} and {list(getattr(self, name).shape)}"
                raise ValueError(f"{name}: expected the shape [R, B] of rows, got {came}")

    @property
    def best(self) -> Tensor:
        """The training, from 0, of the highest objective so far, int64 [R, B]; of equal ones the first, -1 for none."""
        values = torch.where(self.objective.isnan(), -torch.inf, self.objective)
        before = torch.full_like(values[:, :1], -torch.inf)
        before = torch.cat([before, values[:, :-1]], 1).cummax(1).values
        numbers = torch.arange(values.shape[1], device=values.device).expand_as(values)
        return torch.where(values > before, numbers, -1).cummax(1).values

    @property
    def best_so_far(self) -> Tensor:
        """The reported value of the architecture with the highest objective so far, float64 [R, B]; NaN for none."""
        best = self.best
        return torch.where(best >= 0, self.report.gather(1, best.clamp(min=0)), math.nan)

    def quantiles(self, *levels: float) -> Tensor:
        """Quantiles over the runs of `best_so_far`, float64 [levels, B]; by default the quartiles .25, .5 and .75.

        Runs that have none yet are left out.
        """
        wanted = torch.tensor(levels or (0.25, 0.5, 0.75), dtype=torch.float64, device=self.rows.device)
        return self.best_so_far.nanquantile(wanted, 0)

    @property
    def median(self) -> Tensor:
        """Median over the runs of `best_so_far`, float64 [B]."""
        return self.quantiles(0.5)[0]

    def trainings_to(self, target: float) -> Tensor:
        """After how many trainings `best_so_far` first reaches a target, float64 [R] from 1; NaN for never.

        Errors: ValueError for a target of NaN.
        """
        if math.isnan(target):
            raise ValueError("target: expected an accuracy, got nan")
        reached = self.best_so_far >= target
        first = reached.double().argmax(1) + 1
        return torch.where(reached.any(1), first.double(), math.nan)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a Parquet file, a line a training; `path` is replaced in one step or not at all. Errors: OSError.

        Columns: run, training (from 1), row, objective, report, best_so_far. The schema's metadata has the protocol.
        """
        import pyarrow
        from pyarrow import parquet

        runs, budget = self.rows.shape
        there = (self.rows >= 0).flatten().cpu()
        columns = {
            "run": torch.arange(runs)[:, None].expand(runs, budget),
            "training": torch.arange(1, budget + 1).expand(runs, budget),
            "row": self.rows,
            "objective": self.objective,
            "report": self.report,
            "best_so_far": self.best_so_far,
        }
        arrays = {name: pyarrow.array(values.cpu().flatten()[there].numpy()) for name, values in columns.items()}
        header = {"format": FORMAT, "space": self.space, "shape": [runs, budget], "protocol": self.protocol}
        table = pyarrow.table(arrays).replace_schema_metadata({METADATA_KEY: json.dumps(header)})
        with replace_file(path) as temporary:
            parquet.write_table(table, temporary, compression="zstd", write_page_checksum=True)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Trajectory:
        """Read a file that `save` wrote. Errors: ValueError for a missing or damaged file and for any other."""
        import pyarrow
        from pyarrow import parquet

        expected = f"{path}: expected a Parquet file of trajectories saved by zcfast"
        try:
            table = parquet.ParquetFile(path, page_checksum_verification=True).read()
            header = json.loads((table.schema.metadata or {})[METADATA_KEY])
            columns = {name: torch.from_numpy(table.column(name).to_numpy().copy()) for name in COLUMNS}
            runs, budget = header["shape"]
            places = columns["run"] * budget + columns["training"] - 1
            rows = torch.full((runs * budget,), -1).index_copy(0, places, columns["row"])
            values = [
                torch.full((runs * budget,), math.nan, dtype=torch.float64).index_copy(0, places, columns[name])
                for name in ("objective", "report")
            ]
            rows, objective, report = (each.reshape(runs, budget) for each in (rows, *values))
            return cls(header["space"], rows, objective, report, header["protocol"])
        except (pyarrow.ArrowException, OSError) as error:
            raise ValueError(f"{expected}, got none: {first_line(error)}") from error
        except (KeyError, TypeError, ValueError, IndexError, RuntimeError) as error:
            raise ValueError(f"{expected}, got another file: {first_line(error)[:80]}") from error


def is_trajectory(path: str | os.PathLike[str]) -> bool:
    """Whether a Parquet file says that it has trajectories; False for any other file and for none."""
    import pyarrow
    from pyarrow import parquet

    try:
        return METADATA_KEY in (parquet.read_schema(path).metadata or {})
    except (pyarrow.ArrowException, OSError):
        return False


def order_statistic(counts: Tensor, level: float) -> int | None:
    """The value at a level from 0 to 1 of the sorted numbers of trainings [R], without interpolation.

    NaN, a run that never reached the target, comes last; None where the level falls on one.
    """
    place = max(math.ceil(level * len(counts)), 1) - 1
    value = float(counts.sort().values[place])
    return None if math.isnan(value) else int(value)
