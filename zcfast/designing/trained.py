"""Accuracies that a user has, in the forms in which people have them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zcfast.errors import first_line, unknown
from zcfast.files import file_of
from zcfast.search.predictor import Predictor, predictor
from zcfast.spaces import Enumerated, SearchSpace, Space
from zcfast.tables import Table
from zcfast.tables import load as load_table

MOST = 2_000  # a predictor's work grows with the cube
_KINDS = "a zcfast.tables.Table, (table, metric), accuracies by text, or an Optuna study with values"


def predictor_of(space: SearchSpace[Any], trained: Any) -> Predictor:
    """What ranks the architectures of a space by accuracies that the caller has.

    Args:
        space: the search space.
        trained: a table of the space, with the name of a metric where it has several; a mapping from text to accuracy;
            or an Optuna study of the caller's own, whose best value of each architecture counts.

    Raises:
        TypeError, ValueError: something else, another space, fewer than two accuracies or more than 2,000.
    """
    cells, reached = _accuracies(space, trained)
    kept = ~reached.isnan()
    if int(kept.sum()) > MOST:
        raise ValueError(f"trained: expected 2 to {MOST:,} accuracies, got {int(kept.sum()):,}")
    if int(kept.sum()) < 2:
        raise ValueError(f"trained: expected 2 or more accuracies of {space.name}, got {int(kept.sum())}")
    return predictor(space, cells[kept], reached[kept])


def read(space: SearchSpace[Any], source: str) -> Any:
    """A study of Optuna's storage, by its URL or its journal file, or a table of a file that ``zcfast.table`` reads.

    Raises:
        ValueError: none of these, or a storage without one study to take.
    """
    with _one_error(f"--trained: {source}"):
        if "://" in source:
            return _study(source, space.name)
        if Path(source).is_file() and _is_journal(source):
            return _study(source, space.name)
        return load_table(space, source)


@contextmanager
def _one_error(where: str) -> Iterator[None]:
    """Turn whatever a reader raises, which may be any database's, into one ValueError."""
    try:
        yield
    except Exception as error:
        why = first_line(error).removeprefix(where.removeprefix("--trained: ")).removeprefix(": ")
        came = why if isinstance(error, (ValueError, OSError)) else f"{type(error).__name__}: {why}"
        raise ValueError(f"{where}: {came}") from error


def _is_journal(path: str | os.PathLike[str]) -> bool:
    with Path(path).open("rb") as file:
        first = file.readline(1 << 16)
    try:
        return "op_code" in json.loads(first)
    except (ValueError, TypeError, RecursionError):
        return False


def _study(source: str, name: str) -> Any:
    """The only study of a storage, or the one that has the space's name."""
    try:
        import optuna
    except ImportError as error:
        raise ValueError("a study needs Optuna, which is not installed: pip install 'zcfast[design]'") from error
    storage = _storage(source)
    names = optuna.get_all_study_names(storage)
    chosen = names if len(names) == 1 else [each for each in names if each == name]
    if not chosen:
        raise ValueError(f"expected one study, or one called {name!r}, got {', '.join(names) or 'none'}")
    return optuna.load_study(study_name=chosen[0], storage=storage)


def _storage(source: str) -> Any:
    """A storage that is there: reading makes neither a file nor a table."""
    from optuna.storages import JournalStorage, RDBStorage
    from optuna.storages.journal import JournalFileBackend

    if "://" not in source:
        return JournalStorage(JournalFileBackend(source))
    if source.startswith("sqlite") and not Path(file_of(source)).is_file():
        raise ValueError("expected a storage of Optuna's, got no file")
    return RDBStorage(source, skip_table_creation=True)


def _accuracies(space: SearchSpace[Any], trained: Any) -> tuple[Any, Tensor]:
    """Architectures, and what each reached, float64; NaN where it has no number."""
    if isinstance(trained, Table):
        return _of_table(space, trained, None)
    if isinstance(trained, tuple) and len(trained) == 2 and isinstance(trained[0], Table):
        return _of_table(space, *trained)
    if isinstance(trained, Mapping):
        return _of_texts(space, trained)
    if hasattr(trained, "get_trials") and hasattr(trained, "directions"):
        return _of_texts(space, _of_study(space, trained))
    raise TypeError(f"trained: expected {_KINDS}, got {type(trained).__name__}")


def _of_table(space: SearchSpace[Any], table: Table, metric: str | None) -> tuple[Any, Tensor]:
    if table.space != space.name:
        raise ValueError(f"trained: expected a table of {space.name}, got one of {table.space}")
    if metric is None and len(table.metrics) > 1:
        raise ValueError(f"trained: expected (table, metric) of a table with several: {', '.join(table.metrics)}")
    if metric is not None and metric not in table.metrics:
        raise unknown("metric", metric, table.metrics)
    column = table[metric or next(iter(table.metrics))]
    rows = (~column.isnan()).nonzero()[:, 0]
    if table.names:
        return space.parse([table.names[row] for row in rows.tolist()]), column[rows]
    return space.capability(Enumerated).enumerate()[rows], column[rows]


def _of_texts(space: SearchSpace[Any], reached: Mapping[str, float]) -> tuple[Any, Tensor]:
    try:
        values = torch.tensor([float(value) for value in reached.values()], dtype=torch.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"trained: expected accuracies by text, numbers, got another: {error}") from error
    return space.parse(list(reached)) if reached else space.sample(0), values


def _of_study(space: SearchSpace[Any], study: Any) -> dict[str, float]:
    """The best value of each architecture, higher is better, without parameters that the space does not ask for."""
    if len(study.directions) != 1:
        raise ValueError(f"trained: expected a study of one objective, got one of {len(study.directions)}")
    if not isinstance(space, Space):
        raise ValueError(f"trained: expected a zcfast.Space, which asks as a study's trials do, got {space.name}")
    sign = -1.0 if study.directions[0].name == "MINIMIZE" else 1.0
    asked, best = {choice.name for choice in space.questions}, dict[str, float]()
    with _one_error("trained"):
        trials = study.get_trials(deepcopy=False)
    for trial in trials:
        if trial.state.name == "COMPLETE":
            cell = space.parse({name: value for name, value in trial.params.items() if name in asked})
            (text,) = space.format(cell)
            best[text] = max(sign * trial.value, best.get(text, -float("inf")))
    return best
