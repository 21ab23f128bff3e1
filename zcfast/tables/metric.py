"""One measurement of every architecture of a table."""

from __future__ import annotations

import dataclasses
import math

from torch import Tensor

BOUNDS = {  # of values in a unit; any other are finite
    "percent": (0.0, 100.0),
    "percent mIoU": (0.0, 100.0),
    "percent correlation": (-100.0, 100.0),
    "fraction": (0.0, 1.0),
    "SSIM": (-1.0, 1.0),
    "seconds": (0.0, math.inf),
    "nats a token": (0.0, math.inf),
}


@dataclasses.dataclass(frozen=True, eq=False)
class Metric:
    """One measurement of every architecture of a table.

    Attributes:
        values: float32 or float64 [runs, N], NaN where missing; one row where the file has one number an architecture.
        dataset: what was trained and measured on, e.g. "cifar10"; "" where the file does not say.
        split: "train", "valid" or "test"; "" where the file does not say.
        epochs: how many epochs were trained; None where the file does not say.
        unit: e.g. "percent", "fraction", "seconds".
        seeds: the seed of each row of `values`, or the number of the repetition; () where the one row is a mean over
            runs, or one run of unknown seed.

    Errors: ValueError for values that are no matrix of floats with one row for each seed.
    """

    values: Tensor
    dataset: str
    split: str
    epochs: int | None
    unit: str
    seeds: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Check the shape against the seeds."""
        rows = len(self.seeds) or 1
        if self.values.dim() != 2 or len(self.values) != rows or not self.values.is_floating_point():
            came = f"{self.values.dtype} {list(self.values.shape)}"
            raise ValueError(f"values: expected floats [{rows}, N], one row a seed, got {came}")

    def bounded(self) -> Metric:
        """The metric itself; a ValueError for a value that is infinite or outside ``BOUNDS`` of the unit."""
        low, high = BOUNDS.get(self.unit, (-math.inf, math.inf))
        wrong = self.values.isinf() | (self.values < low) | (self.values > high)
        if bool(wrong.any()):
            expected = "finite numbers" if low == -math.inf else f"finite numbers >= {low:g}"
            expected += "" if math.isinf(high) else f" and <= {high:g}"
            came = f"{self.values[wrong][0].item():g}"
            raise ValueError(f"values of {self.dataset or 'a metric'}: expected {expected} ({self.unit}), got {came}")
        return self

    def at(self, rows: Tensor, seed: int | None = None) -> Tensor:
        """Values at rows [M] of the table, float64 [M]: of one seed, or the mean of the runs that there are."""
        if seed is None:
            values = self.values[:, rows].double()
            return values[0] if len(values) == 1 else values.nanmean(0)
        if seed not in self.seeds:
            came = ", ".join(map(str, self.seeds)) or "no single runs"
            raise ValueError(f"seed: expected one of the table's, got {seed}; it has {came}")
        return self.values[self.seeds.index(seed), rows].double()
