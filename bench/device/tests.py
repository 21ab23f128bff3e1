"""The tests that a GPU takes part in: operators against the CPU, searches and scores, streams and graph capture."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench.device.session import Job, Session

ROOT = Path(__file__).resolve().parents[2]
TESTS = sorted(path for path in (ROOT / "tests").rglob("test_*.py") if path.parent.name != "devices")
USES_A_DEVICE = re.compile(r"\bdefault_device\b|\"cuda\"")  # pytest would import all files, which takes a minute
FILES = ["tests/devices", *(str(path.relative_to(ROOT)) for path in TESTS if USES_A_DEVICE.search(path.read_text()))]
PROCESSES = 8


def jobs(session: Session) -> list[Job]:
    # "cuda" is in the name of every test that runs there, the device it is parametrised by included. Without a GPU they
    # are skipped, so a rehearsal runs those of the pretended device.
    return [("pytest", lambda: run("cuda or pretend" if session.rehearsal else "cuda"))]


def run(selected: str) -> dict[str, Any]:
    """The suite's last line and what failed."""
    processes = min(PROCESSES, os.cpu_count() or 1)
    command = [sys.executable, "-m", "pytest", "-q", "-n", str(processes), "-k", selected, *FILES]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    summary = lines[-1] if lines else done.stderr[-500:]
    return {
        "summary": summary,
        "failed": [line for line in lines if re.match(r"(FAILED|ERROR) ", line)],
        "ok": done.returncode == 0 and " passed" in summary,
    }
