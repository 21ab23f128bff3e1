"""A few of the damaged files that tools/fuzz_files.py makes."""

import subprocess
import sys
from pathlib import Path

TOOL = Path(__file__).resolve().parents[1] / "tools" / "fuzz_files.py"


def test_damaged_files():
    words = (sys.executable, TOOL, "--files", "200", "--jobs", "1")
    done = subprocess.run(words, capture_output=True, text=True, timeout=600)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
