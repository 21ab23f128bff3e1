"""The parts in order, the most valuable first, and running them in processes of their own."""

import argparse
import contextlib
import importlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from bench.device.report import Report

ROOT = Path(__file__).resolve().parents[2]
# Seconds that each may take; nvcc's build is before them.
LIMITS = {"kernels": 120, "tests": 180, "calls": 60, "cells": 60, "processes": 80, "sanitizer": 180}


def run_part(part: str, report: Report, seconds: float, options: list[str]) -> None:
    """In a process of its own, and in a new one from the next job on where one was lost with the GPU's context."""
    started = time.monotonic()
    report.begin(part)
    rows = -1
    while len(report.rows(part)) > rows:
        rows = len(report.rows(part))
        status = in_process([part, "--out", str(report.path), *options], started + seconds - time.monotonic())
        report.reload()
        if status in (0, None):
            break
    if not report.rows(part):
        report.put(part, 0, {"name": "all", "ok": False, "error": f"its process ended with status {status}"})
    report.end(part, time.monotonic() - started)


def in_process(arguments: list[str], seconds: float) -> int | None:
    """The status of a process that runs a part; None if it was ended for its time."""
    command = [sys.executable, "-m", "bench.device.parts", *arguments]
    process = subprocess.Popen(command, cwd=ROOT, preexec_fn=os.setpgrp)  # its own processes end with it
    try:
        return process.wait(max(seconds, 1))
    except subprocess.TimeoutExpired:
        return None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def main() -> None:
    """The jobs of one part, in this process."""
    from bench.device.card import Card, StandIn
    from bench.device.session import Session, run_jobs

    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("part", choices=LIMITS)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cells", type=int, required=True)
    parser.add_argument("--rehearse", action="store_true")
    options = parser.parse_args()
    card = StandIn() if options.rehearse else Card()
    jobs = importlib.import_module(f"bench.device.{options.part}").jobs(Session(card, options.cells, options.rehearse))
    if not run_jobs(options.part, jobs, Report(options.out), card):
        sys.exit(3)


if __name__ == "__main__":
    main()
