"""What the jobs of a part are given, and running them one after the other."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any

from bench.device.card import Card
from bench.device.report import CUT_OFF, Report

Job = tuple[str, Callable[[], dict[str, Any]]]


@dataclasses.dataclass(frozen=True)
class Session:
    """card: the GPU or what stands in for it; cells: architectures to score; rehearsal: few of everything."""

    card: Card
    cells: int
    rehearsal: bool


def run_jobs(part: str, jobs: Sequence[Job], report: Report, card: Card) -> bool:
    """Those that have no row yet; False after one that took the GPU's context with it, for a new process to go on."""
    for place in range(len(report.rows(part)), len(jobs)):
        name, work = jobs[place]
        report.put(part, place, {"name": name, **CUT_OFF})
        report.put(part, place, attempted(name, work))
        if card.is_lost():
            return False
    return True


def attempted(name: str, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The result of some work under its name, or the error that it raised."""
    started = time.perf_counter()
    try:
        row = {"name": name, "ok": True, **work()}
    except Exception as error:  # on the first run on a device anything may go wrong, and the rest is wanted
        row = {"name": name, "ok": False, "error": f"{type(error).__name__}: {str(error).strip()}"}
    return {**row, "seconds": round(time.perf_counter() - started, 2)}
