"""The pickles of NATS-Bench (topology space) and of NAS-Bench-201: every training run of every architecture.

An architecture's record has the results of each schedule, "12" and "200" epochs in NATS-Bench, "less" and "full" in
NAS-Bench-201; in them `arch_str`, `arch_index` and `all_results`: (data set, seed) -> a dict with `epochs`,
`eval_acc1es` ("x-valid@199" -> percent) and more that is not read. Records hold dicts, lists, text, numbers and numpy
scalars, no weights and no arrays.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from zcfast.errors import first_line
from zcfast.spaces.nasbench201.space import NasBench201
from zcfast.tables import pickles
from zcfast.tables.metric import Metric
from zcfast.tables.table import Table

# What the benchmark calls them -> metric, data set and split: the original test images, or the halves of them that it
# gave to validation and test. CIFAR-10's validation needs its own training run, on half of the training images.
MEASURED = {
    ("cifar10", "ori-test"): ("test_cifar10", "cifar10", "test"),
    ("cifar10-valid", "x-valid"): ("valid_cifar10", "cifar10", "valid"),
    ("cifar100", "x-test"): ("test_cifar100", "cifar100", "test"),
    ("cifar100", "x-valid"): ("valid_cifar100", "cifar100", "valid"),
    ("ImageNet16-120", "x-test"): ("test_imagenet16", "imagenet16", "test"),
    ("ImageNet16-120", "x-valid"): ("valid_imagenet16", "imagenet16", "valid"),
}
LENGTHS = (12, 200)  # epochs of the schedules
FULL = LENGTHS[-1]
SEEDS = (111, 777, 888, 999)  # that the release was trained with
SCHEDULES = ("200", "12", "full", "less")
Runs = dict[int, list[tuple[int, float]]]  # seed -> rows and values


def read(space: NasBench201, path: Path) -> Table:
    """All runs at the end of their training, from the single pickle, a directory of records or one record.

    Metrics, in percent: `test_<data>` and `valid_<data>` after 200 epochs, `ep12_test_<data>` and so on after 12, for
    cifar10, cifar100 and imagenet16, each with its seeds. The single pickle needs memory for all that it holds; a
    directory is read one architecture at a time.

    Errors: ValueError for a damaged or hostile pickle, one of other content, a record of another architecture than its
    index says.
    """
    found: dict[tuple[str, str, str, int], Runs] = defaultdict(lambda: defaultdict(list))
    seen: set[int] = set()
    for place, record in _records(path):
        if len(seen) == len(space):
            raise ValueError(f"{place}expected at most {len(space)} architectures, got more")
        try:
            row = _row(space, record)
            for key, seed, value in _results(record):
                found[key][seed].append((row, value))
        except Exception as error:  # records of another form raise anything
            raise ValueError(f"{place}expected a record of NAS-Bench-201, got {_words(error)}") from error
        if row in seen:
            raise ValueError(f"{place}the architecture {row} twice")
        seen.add(row)
    metrics = {}
    for (name, dataset, split, epochs), runs in sorted(found.items(), key=lambda item: (-item[0][3], item[0][0])):
        label = name if epochs == FULL else f"ep{epochs}_{name}"
        seeds = tuple(sorted(runs))
        values = torch.stack([_column(runs[seed], len(space)) for seed in seeds])
        metrics[label] = Metric(values, dataset, split, epochs, "percent", seeds)
    if not metrics:
        raise ValueError("expected records of NAS-Bench-201, got none")
    headline = tuple([name for name in metrics if name.startswith("test_")] or list(metrics)[:1])
    about = f"NAS-Bench-201: {len(seen)} architectures, accuracy after {metrics[headline[0]].epochs} epochs"
    return Table(space.name, metrics, headline, about)


def _records(path: Path) -> Iterator[tuple[str, Any]]:
    """Where each record lies, for messages, and the record."""
    if path.is_dir():
        files = sorted(each for each in path.glob("*.pbz2") if each.is_file() and not each.name.startswith("meta."))
        if not files:
            raise ValueError("expected a directory of .pbz2 files, got none in it")
        for file in files:
            try:
                yield f"{file.name}: ", pickles.read(file)
            except ValueError as error:
                raise ValueError(f"{file.name}: {error}") from error
        return
    content = pickles.read(path)
    if not isinstance(content, dict):
        raise ValueError(f"expected a dict of results, got {type(content).__name__}")
    if "arch2infos" not in content:
        yield "", content
        return
    if not isinstance(content["arch2infos"], dict):
        raise ValueError("expected a dict arch2infos, got another object")
    for index, record in content["arch2infos"].items():
        yield f"architecture {_short(index)}: ", record


def _row(space: NasBench201, record: Any) -> int:
    """The row of a record's architecture, the same in all of its schedules."""
    described = {(result["arch_index"], result["arch_str"]) for result in _schedules(record)}
    if len(described) != 1:
        raise ValueError(f"{len(described)} architectures")
    index, text = described.pop()
    row = int(space.index(space.parse(text)))
    if row != index:
        raise ValueError(f"the index {_short(index)} with the architecture of {row}")
    return row


def _schedules(record: Any) -> list[Any]:
    return [record[schedule] for schedule in SCHEDULES if schedule in record]


def _results(record: Any) -> Iterator[tuple[tuple[str, str, str, int], int, float]]:
    """Metric, seed and accuracy of every run of a record."""
    for schedule in _schedules(record):
        for (trained, seed), result in schedule["all_results"].items():
            epochs, accuracies = result["epochs"], result["eval_acc1es"]
            if epochs not in LENGTHS or seed not in SEEDS:
                raise ValueError(f"a run of {_short(epochs)} epochs with the seed {_short(seed)}")
            for (dataset, split), names in MEASURED.items():
                last = f"{split}@{epochs - 1}"
                if dataset == trained and last in accuracies:
                    yield (*names, epochs), seed, float(accuracies[last])


def _column(runs: list[tuple[int, float]], size: int) -> torch.Tensor:
    column = torch.full((size,), torch.nan, dtype=torch.float64)
    rows, values = zip(*runs, strict=True)
    column[list(rows)] = torch.tensor(values, dtype=torch.float64)
    return column


def _short(value: Any) -> str:
    """A number or text, cut; of anything else its type: what containers hold may be long to write."""
    return f"{value!s:.20}" if isinstance(value, (int, float, str)) else type(value).__name__


def _words(error: Exception) -> str:
    return f"one without {error}" if isinstance(error, KeyError) else first_line(error)
