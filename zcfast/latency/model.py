"""A model of latency from few measurements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from zcfast.analysis.columns import Column, aligned
from zcfast.search.features import Features, rows_of
from zcfast.search.gaussian_process import GaussianProcess
from zcfast.spaces import Cells, Enumerated, SearchSpace, as_space


@dataclass(frozen=True, eq=False)
class LatencyModel:
    """The latency of every architecture of a space, by a Gaussian process on what it is made of.

    It is a limit of ``zcfast.design``: ``limits={"latency": (model, 12.0)}``.

    Attributes:
        features: the columns that describe an architecture (zcfast/search/features.py).
        centre, scale: mean and standard deviation of the measured latencies, in ms.
        process: the Gaussian process of (latency - centre) / scale.
    """

    features: Features
    centre: float
    scale: float
    process: GaussianProcess

    @property
    def space(self) -> SearchSpace[Any]:
        """The search space."""
        return self.features.space

    def predict(self, rows: Cells | Tensor | Sequence[int] | None = None) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the latency of architectures, or of rows of their list, in ms, float64 [N].

        NaN for a network that cannot be built. By default of all architectures of a space that lists them. The
        deviation is the model's own, of the latency without the noise of a measurement.
        """
        if rows is None:
            rows = self.space.capability(Enumerated).enumerate()
        chosen = rows if isinstance(rows, Cells) else rows_of(self.space, rows)
        features = self.features.of(chosen)
        mean = self.process.mean(features)
        above = self.process.upper_bound(features, 1)
        return self.centre + self.scale * mean, self.scale * (above - mean)

    def __call__(self, space: SearchSpace[Any], cells: Any) -> Tensor:
        """The mean of architectures of the space, in ms, float64 [N]."""
        if space.name != self.space.name:
            raise ValueError(f"space: expected {self.space.name}, whose latencies were fitted, got {space.name}")
        return self.predict(cells)[0]

    @property
    def definition(self) -> str:
        """What files of designs say of its numbers."""
        return f"learned from {len(self.process.weights)} measured architectures by a Gaussian process; its mean"

    def __repr__(self) -> str:
        """The space and the number of measurements."""
        return f"LatencyModel({self.space.name}: {len(self.process.weights)} measured)"


def fit(space: str | SearchSpace[Any], rows: Cells | Tensor | Sequence[int], milliseconds: Column) -> LatencyModel:
    """A model of latency from ten or twenty measured networks, from whatever measured them.

        measured = zcfast.latency.measure(space, rows)
        model = zcfast.latency.fit(space, rows, measured.milliseconds)  # or a column of a file from a phone
        mean, deviation = model.predict()

    Architectures are described by how many operations of each kind they have, in all and on paths from input to output,
    and by their multiply-adds; those of a space without graphs by their layers by kind and size, and by their choices.

    Args:
        space: the search space or its name.
        rows: n architectures, or their rows in a space that lists them.
        milliseconds: what was measured [n], in any one unit.

    Raises:
        ValueError: fewer than two measurements, numbers that are not finite and above 0, other lengths, a network that
            cannot be built, a space of which nothing can be counted.

    Source: zcfast. Of eight sets of columns this one was picked after looking at the latencies of NAS-Bench-201 on
    seven devices.
    """
    searched: SearchSpace[Any] = as_space(space)
    cells = rows_of(searched, rows)
    (column,) = aligned({"milliseconds": milliseconds})
    latencies = column.double()
    if len(latencies) != len(cells) or len(cells) < 2:
        raise ValueError(
            f"milliseconds: expected a number for each of two or more rows, got {len(latencies)} for {len(cells)}"
        )
    if not bool((latencies.isfinite() & (latencies > 0)).all()):
        raise ValueError("milliseconds: expected finite numbers above 0, got others")
    features = Features.fit(searched, cells)
    described = features.of(cells)
    failed = described.isnan().any(1).nonzero()[:, 0]
    if len(failed):
        text = searched.format(cells[failed[:1]])[0]
        raise ValueError(f"rows: expected networks that can be built, got {text}")
    centre = float(latencies.mean())
    scale = float(latencies.std()) or 1.0
    return LatencyModel(features, centre, scale, GaussianProcess.fit(described, (latencies - centre) / scale))
