"""Benchmarks whose architectures have no encoding here: tables by the architectures' names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from zcfast.tables import nasbench_macro, nasbench_nlp, pytorchcv, transnas
from zcfast.tables.table import Table

BENCHMARKS: dict[str, Callable[[str, Path], Table]] = {
    "nasbench_macro": nasbench_macro.read,
    "nasbench_nlp": nasbench_nlp.read,
    "pytorchcv": pytorchcv.read,
    "transnas_macro": transnas.read,
    "transnas_micro": transnas.read,
}


def read(benchmark: str, path: Path) -> Table:
    """The table of a benchmark's published files.

    Errors: ValueError for files that are damaged or of other content.
    """
    try:
        return BENCHMARKS[benchmark](benchmark, path)
    except (KeyError, TypeError, AttributeError, OverflowError, RuntimeError) as error:
        came = f"{type(error).__name__} at {error}"[:80]
        raise ValueError(f"expected the published files of {benchmark}, got others: {came}") from error
