"""A screen of what a report holds."""

from collections.abc import Callable, Iterator
from typing import Any

Row = dict[str, Any]


def table(content: dict[str, Any], parts: list[str]) -> str:
    """A few lines a part."""
    machine = content["machine"]
    lines = [f"{machine['device']}, torch {machine['torch']}, CUDA {machine['cuda']}, driver {machine.get('driver')}"]
    for part in parts:
        rows = content["parts"][part]["rows"]
        lines += [
            f"{part}, {content['parts'][part]['seconds']:.0f} s",
            *WRITERS[part]([r for r in rows if "error" not in r]),
        ]
        lines += [f"  WRONG {row['name']}: {row.get('error', 'see the file')}"[:120] for row in rows if not row["ok"]]
    return "\n".join(lines)


def build(rows: list[Row]) -> Iterator[str]:
    for row in rows:
        if "build_seconds" in row:
            yield f"  sm_{row['architectures']} in {row['build_seconds']} s, {len(row['warnings'])} warnings"


def kernels(rows: list[Row]) -> Iterator[str]:
    yield f"  {'':60}{'us':>9}{'in graph':>9}{'torch':>9}{'of copy':>9}{'differs':>9}"
    for row in rows:
        if "bytes_per_second" in row:
            yield f"  copy {row['bytes_per_second'] / 1e12:.2f} TB/s"
            continue
        times = (row["microseconds"], row["microseconds_in_a_graph"], row["plain_pytorch_microseconds"])
        numbers = "".join(f"{time:9.0f}" for time in times)
        yield f"  {row['name']:60}{numbers}{row['share_of_copy_bandwidth']:9.0%}{row['difference_from_cpu']:9.0e}"


def tests(rows: list[Row]) -> Iterator[str]:
    for row in rows:
        yield f"  {row['summary'].strip('= ')}"


def calls(rows: list[Row]) -> Iterator[str]:
    if rows:
        each = ", ".join(f"{row['milliseconds']:.0f} ({row['ratio']:.1f} x)" for row in rows)
        yield f"  ms a call (published / ours): {each}"


def cells(rows: list[Row]) -> Iterator[str]:
    for row in rows:
        if "spearman" in row:
            yield "  TF32 off and on: " + ", ".join(f"{name} {value:.4f}" for name, value in row["spearman"].items())
        else:
            yield f"  {row['name']}: {row['cells_per_second']:.2f} cells/s"


def processes(rows: list[Row]) -> Iterator[str]:
    yield "  " + ", ".join(f"{row['name']}: {row['cells_per_second']:.2f} cells/s" for row in rows)


def sanitizer(rows: list[Row]) -> Iterator[str]:
    for row in rows:
        yield f"  {row['name']}: {row['summary'].strip('= ')}"


WRITERS: dict[str, Callable[[list[Row]], Iterator[str]]] = {
    "build": build,
    "kernels": kernels,
    "tests": tests,
    "calls": calls,
    "cells": cells,
    "processes": processes,
    "sanitizer": sanitizer,
}
