"""Where a search's accuracies come from: a table's metrics or a function that trains."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from zcfast.search.streams import Streams
from zcfast.spaces import Cells, CellSpace
from zcfast.tables import Table

Repetition = Literal["mean", "random"]
Evaluate = Callable[[Any], Tensor | Sequence[float]]


class TableSource:
    """Look-ups of an objective and a reported metric; with `random` one of its training runs, drawn each time."""

    def __init__(
        self,
        table: Table,
        objective: str | None,
        report: str | None,
        repetition: Repetition,
        streams: Streams,
    ) -> None:
        """Errors: ValueError for an unknown metric or repetition, an objective without values or single runs."""
        if report is None:
            report = table.headline[0] if objective is None else objective
        self.report = report
        self.objective = _validation_of(table, report) if objective is None else objective
        means = [table[name] for name in (self.objective, self.report)]
        if means[0].isnan().all():
            raise ValueError(f"table: expected accuracies in {self.objective!r}, got none for any architecture")
        if repetition not in ("mean", "random"):
            raise ValueError(f"repetition: expected 'mean' or 'random', got {repetition!r}")
        self.repetition = repetition
        self.means = [mean.to(streams.keys.device) for mean in means]
        self._streams = streams.fork("repetition")
        if repetition == "random":
            self._single = self._single_runs(table, streams.keys.device)

    def _single_runs(self, table: Table, device: torch.device) -> tuple[Tensor, Tensor | None]:
        """Values [S, N] of the objective, and of the reported metric if it has the same seeds."""
        metrics = [table.metrics[name] for name in (self.objective, self.report)]
        if len(metrics[0].seeds) < 2:
            raise ValueError(
                f"repetition: expected a metric with several training runs for 'random', got {self.objective!r}, which "
                f"has one number an architecture"
            )
        values = [metric.values.double().to(device) for metric in metrics]
        return values[0], values[1] if metrics[1].seeds == metrics[0].seeds else None

    def query(self, rows: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """Objective and report of rows [R] by a random run each, float64 [R] each, NaN where missing."""
        objective, report = self._single
        there = ~objective[:, rows].isnan()
        # The k-th of the runs that there are, by a random k.
        wanted = self._streams.below(step, 1, there.sum(0).clamp(min=1)[:, None])[:, 0]
        seeds = ((there.cumsum(0) == wanted + 1) & there).double().argmax(0)
        chosen = objective[seeds, rows]
        return chosen, self.means[1][rows] if report is None else report[seeds, rows]


def _validation_of(table: Table, name: str) -> str:
    """The first validation metric of the same trainings as a test metric; the metric itself where there is none."""
    metric = table.metrics.get(name)
    if metric is None or metric.split != "test":
        return name
    wanted = (metric.dataset, "valid", metric.epochs, metric.unit)
    found = (other for other, m in table.metrics.items() if (m.dataset, m.split, m.epochs, m.unit) == wanted)
    return next(found, name)


def evaluated(evaluate: Evaluate, space: CellSpace[Any], rows: Tensor) -> Tensor:
    """What a user's function says of rows [M], float64 [M].

    Errors: ValueError for anything but M numbers.
    """
    cells: Cells = space.enumerate()[rows.cpu()]
    values = evaluate(cells)
    try:
        accuracies = torch.as_tensor(values).detach().to(rows.device, torch.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"evaluate: expected {len(rows)} numbers, got {type(values).__name__}") from error
    if accuracies.shape != (len(rows),):
        raise ValueError(f"evaluate: expected {len(rows)} numbers, got shape {list(accuracies.shape)}")
    return accuracies
