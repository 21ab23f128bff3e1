"""compute-sanitizer over the small cases of this package's kernels; it comes with the CUDA toolkit."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench.device.session import Job, Session

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ("memcheck", "racecheck", "synccheck")
FOUND = 9  # its exit status where it finds something
OPTIONS = ["--kernel-name", "kernel_substring=zcfast", "--report-api-errors", "no", "--error-exitcode", str(FOUND)]


def jobs(session: Session) -> list[Job]:
    if session.rehearsal:  # the tool refuses a machine without a driver: the program that it watches runs alone
        return [("small cases, without the sanitizer", lambda: watched([], "--rehearse"))]
    return [(tool, lambda tool=tool: watched([find(), "--tool", tool, *OPTIONS])) for tool in TOOLS]


def find() -> str:
    """The program; an error where the toolkit lacks it."""
    paths = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/cuda/bin", "/usr/local/cuda/compute-sanitizer"])
    program = shutil.which("compute-sanitizer", path=paths)
    if program is None:
        raise FileNotFoundError("expected compute-sanitizer on PATH or in /usr/local/cuda/bin, found neither")
    return program


def watched(tool: list[str], *options: str) -> dict[str, Any]:
    # Each tensor has an allocation of its own, so that a step beyond one is seen.
    environment = {**os.environ, "PYTORCH_NO_CUDA_MEMORY_CACHING": "1"}
    command = [*tool, sys.executable, "-m", "bench.device.small", *options]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    return {
        "summary": lines[-1] if lines else "",
        "output": lines[:60] if done.returncode else [],
        "ok": done.returncode == 0,
    }
