"""Registering a device cannot be undone, so what runs on one has a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_python_code_on_a_device_that_is_not_the_cpu(tmp_path):
    tests = Path(__file__).with_name("on_pretend.py")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tests]
    # Python looks for modules where it starts: the package is the one that this process has, installed or not.
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}  # PyTorch knows one kind of accelerator in a process
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout
