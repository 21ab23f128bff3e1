"""What searches have found after each training."""

from __future__ import annotations

import dataclasses
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zcfast.data.header import TRAJECTORIES, opened
from zcfast.data.provenance import Provenance
from zcfast.errors import check_kind, integer
from zcfast.files import require_memory
from zcfast.spaces import space as named_space

if TYPE_CHECKING:
    from zcfast.data.saved import SavedFile

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
        provenance: how the runs were made.
    """

    space: str
    rows: Tensor
    objective: Tensor
    report: Tensor
    provenance: Provenance = dataclasses.field(default_factory=Provenance)

    def __post_init__(self) -> None:
        """Check the shapes."""
        check_kind("provenance", self.provenance, Provenance)
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

        Columns: run, training (from 1), row, objective, report, best_so_far. The schema's metadata has the provenance.
        """
        import pyarrow

        from zcfast.data.saved import write_saved

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
        header = {"space": self.space, "shape": [runs, budget], "provenance": self.provenance.as_json()}
        write_saved(path, TRAJECTORIES, header, pyarrow.table(arrays))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Trajectory:
        """Read a file that `save` wrote. Errors: ValueError for a missing or damaged file and for any other."""
        from zcfast.data.saved import open_saved

        with open_saved(path, TRAJECTORIES) as file:
            return _of_file(file)


def _of_file(file: SavedFile) -> Trajectory:
    header = file.header
    runs, budget = (integer("shape", size) for size in header["shape"])
    places, trainings = runs * budget, file.rows
    if min(runs, budget) < 0 or trainings > places:
        raise ValueError(f"got one of {runs} runs of {budget} trainings with {trainings} rows")
    require_memory("its trainings", 48 * places)
    table = file.read(COLUMNS)
    columns = {name: torch.from_numpy(table.column(name).to_numpy().copy()) for name in COLUMNS}
    provenance = Provenance.of(header["provenance"])
    algorithm = provenance.options.get("algorithm")
    if not isinstance(algorithm, dict) or not isinstance(algorithm.get("name"), str):
        raise ValueError("got one that does not name its algorithm")
    index = columns["run"] * budget + columns["training"] - 1
    in_place = (columns["run"] < runs) & (columns["training"] >= 1) & (columns["training"] <= budget)
    if (
        not in_place.all()
        or (columns["run"] < 0).any()
        or len(torch.unique(index)) < len(index)
        or (columns["row"] < 0).any()
    ):
        raise ValueError("got one with trainings in the same place, or in none")
    most = _architectures(header["space"])
    if len(index) and int(columns["row"].max()) >= most:
        raise ValueError(f"got one with the architecture {int(columns['row'].max())} of {most}")
    rows = torch.full((places,), -1).index_copy(0, index, columns["row"])
    values = [
        torch.full((places,), math.nan, dtype=torch.float64).index_copy(0, index, columns[name])
        for name in ("objective", "report")
    ]
    rows, objective, report = (each.reshape(runs, budget) for each in (rows, *values))
    return Trajectory(header["space"], rows, objective, report, provenance)


def _architectures(space: str) -> float:
    """How many architectures a space has that is known here; no bound for any other."""
    try:
        return len(named_space(space))
    except (ValueError, TypeError):
        return math.inf


def is_trajectory(path: str | os.PathLike[str]) -> bool:
    """Whether a Parquet file says that it has trajectories; False for any other file and for none."""
    from zcfast.data.parquet import ParquetFile

    try:
        return Path(path).is_file() and opened(ParquetFile(path).metadata)["kind"] == TRAJECTORIES
    except Exception:  # a damaged file raises anything
        return False


def order_statistic(counts: Tensor, level: float) -> int | None:
    """The value at a level from 0 to 1 of the sorted numbers of trainings [R], without interpolation.

    NaN, a run that never reached the target, comes last; None where the level falls on one.
    """
    place = max(math.ceil(level * len(counts)), 1) - 1
    value = float(counts.sort().values[place])
    return None if math.isnan(value) else int(value)
