"""Runs of searches that were made before: files of `Trajectory.save`, named by all that the runs depend on."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from torch import Tensor

import zcfast
from reproduction.files import set_aside
from zcfast.search import Algorithm, Repetition, Trajectory, describe, run
from zcfast.tables import Table

ENDING = ".trajectory"  # not .parquet: files of scores are found by theirs


@dataclasses.dataclass(frozen=True)
class Search:
    """The arguments of `zcfast.search.run` beside the table."""

    algorithm: Algorithm[Any]
    space: str
    objective: str
    report: str
    repetition: Repetition
    runs: int
    budget: int
    seed: int

    def digest(self, table: Table) -> str:
        """A text that no other search has, nor this one with other accuracies, scores or another zcfast."""
        given = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        given |= {"algorithm": describe(self.algorithm), "zcfast": zcfast.__version__}
        for name in ("initial", "move"):
            proxy = getattr(self.algorithm, name)
            given[name] = None if proxy is None else _digest(proxy.scores)
        for name in (self.objective, self.report):
            given[f"accuracies {name}"] = _digest(table.metrics[name].values)
        text = json.dumps(given, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def stored(search: Search, table: Table, directory: Path) -> Trajectory:
    """The trajectory of a search, from its file, or run now and written there.

    A file that is damaged or of another search is set aside.

    Errors: those of `zcfast.search.run`; OSError.
    """
    digest = search.digest(table)
    path = directory / f"search_{digest}{ENDING}"
    if os.path.lexists(path):
        try:
            return _checked(Trajectory.load(path), digest)
        except ValueError as error:
            set_aside(path, error)
    made = run(
        search.algorithm,
        search.space,
        table,
        budget=search.budget,
        runs=search.runs,
        objective=search.objective,
        report=search.report,
        repetition=search.repetition,
        seed=search.seed,
    )
    directory.mkdir(parents=True, exist_ok=True)
    options = {**made.provenance.options, "digest": digest}
    made = dataclasses.replace(made, provenance=dataclasses.replace(made.provenance, options=options))
    made.save(path)
    return made


def _checked(kept: Trajectory, digest: str) -> Trajectory:
    found = kept.provenance.options.get("digest")
    if found != digest:
        raise ValueError(f"expected the search {digest}, got {found}")
    return kept


def _digest(values: Tensor) -> str:
    return hashlib.sha256(values.contiguous().numpy().tobytes()).hexdigest()
