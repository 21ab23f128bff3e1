"""The file of NAS-Bench-BERT's results."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from zcfast.spaces.capabilities import Readers
from zcfast.spaces.nasbench_bert.space import NasBenchBert, choices_of
from zcfast.tables.json_files import read_json
from zcfast.tables.metric import Metric
from zcfast.tables.table import Table

TASKS = ("cola", "mnli", "mrpc", "qnli", "qqp", "rte", "sst", "sts")
_CORRELATIONS = ("cola", "sts")  # which may be negative
MOST_RUNS = 3  # of one architecture
_BEGINS = (b"[", b"\x1f\x8b")  # JSON, bare or packed by gzip


class Files(Readers):
    """`benchmark.json`, as published."""

    def __init__(self, space: NasBenchBert) -> None:
        """Take the space."""
        self._space = space

    def reader(self, path: Path) -> Callable[[Path], Table] | None:
        """What reads a file that begins as JSON does."""
        if path.is_dir():
            return None
        with path.open("rb") as file:
            return self._read if file.read(2).startswith(_BEGINS) else None

    def archive(self, archive: Any) -> Table:
        """There are no such archives."""
        expected = f"expected benchmark.json, a CSV or a Parquet file for {self._space.name}"
        raise ValueError(f"{expected}, got an .npz archive")

    def _read(self, path: Path) -> Table:
        return read(self._space, path)


def read(space: NasBenchBert, path: Path) -> Table:
    """Scores on the development sets of eight GLUE tasks, and `glue`, their mean; `train_seconds` of pre-training.

    The file is a list of runs with `scores`, `time_to_train` and `hparams`, whose `model_hparam_overrides` is the
    architecture. Runs of one architecture are numbered in the order of the file.
    """
    runs: dict[str, list[dict[str, float]]] = {}
    for place, run in enumerate(_runs(path)):
        try:
            text = space.format(space.parse(choices_of(run["hparams"]["model_hparam_overrides"])))[0]
            numbers = {name: float(run["scores"][name]) for name in ("glue", *TASKS)}
            numbers["train_seconds"] = float(run["time_to_train"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"run {place}: expected scores and an architecture, got others: {error}") from error
        runs.setdefault(text, []).append(numbers)
    count = max(map(len, runs.values()))
    if count > MOST_RUNS:
        raise ValueError(f"expected at most {MOST_RUNS} runs of an architecture, got {count}")
    metrics = {name: _metric(name, list(runs.values()), count) for name in ("glue", *TASKS, "train_seconds")}
    about = "NAS-Bench-BERT: GLUE scores of encoders after 100,000 steps of ELECTRA's pre-training"
    return Table(space.name, metrics, ("glue",), about, tuple(runs))


def _runs(path: Path) -> list[Any]:
    content = read_json(path)
    if not isinstance(content, list) or not content:
        raise ValueError(f"expected a list of runs, got {'an empty list' if content == [] else 'something else'}")
    return content


def _metric(name: str, runs: list[list[dict[str, float]]], count: int) -> Metric:
    rows = [[run[name] for run in of_one] + [torch.nan] * (count - len(of_one)) for of_one in runs]
    values = torch.tensor(rows, dtype=torch.float64).T.contiguous()
    seeds = tuple(range(count)) if count > 1 else ()
    if name == "train_seconds":
        return Metric(values, "", "train", None, "seconds", seeds).bounded()
    unit = "percent correlation" if name in _CORRELATIONS else "percent"
    return Metric(values, name, "valid", None, unit, seeds).bounded()
