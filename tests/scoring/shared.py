"""Three architectures of NAS-Bench-201, scored in a fraction of a second."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import torch

import zcfast
from zcfast.images import random_images
from zcfast.proxies import fisher
from zcfast.scoring.architectures import score_architectures

NONE = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"
SMALL = {"stem_channels": 4, "modules": 1}
PROXIES = ["snip", "path_rank", fisher(weighting="channel"), "jacob_cov", "synflow"]
SPACE = zcfast.space("nasbench201")


def cells():
    """Three architectures, of which the second has no jacob_cov."""
    return SPACE.enumerate()[[7, SPACE.index(SPACE.parse([NONE])).item(), 5000]]


def images(seed: int = 0):
    return random_images(4, (3, 8, 8), 10, seed=seed)


def score(proxies=PROXIES, **options):
    given = {"space": SPACE, "cells": cells(), "images": images(), **SMALL, **options}
    return score_architectures(proxies=proxies, **given)


def assert_same(found, expected):
    assert found.cells == expected.cells
    assert (found.provenance, found.reasons) == (expected.provenance, expected.reasons)
    assert list(found.columns) == list(expected.columns)
    for name in expected.columns:
        assert torch.equal(found[name].view(torch.int64), expected[name].view(torch.int64))


def rows_of(directory) -> dict[str, dict]:
    """All rows of the parts in a directory."""
    return {
        text: row
        for path in Path(directory).glob("part_*.json")
        for text, row in json.loads(path.read_text())["rows"].items()
    }


def start(script: str, *arguments: str, **options) -> subprocess.Popen:
    """A Python process that runs a script, which a shell's background jobs do not keep from Ctrl-C."""
    script = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n" + script
    Path("main.py").write_text(script)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": environment, **options}
    return subprocess.Popen([sys.executable, "main.py", *arguments], **options)


def is_running(process: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except OSError:
        return False


def assert_gone(processes, seconds: float = 60):
    deadline = time.monotonic() + seconds
    while any(map(is_running, processes)):
        assert time.monotonic() < deadline, "a worker goes on"
        time.sleep(0.02)


def end(process: subprocess.Popen, number: int = signal.SIGINT, seconds: float = 60) -> tuple[str, str, float]:
    """Send a signal; output, errors and the seconds until the end."""
    started = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=seconds)
    return out, err, time.monotonic() - started
