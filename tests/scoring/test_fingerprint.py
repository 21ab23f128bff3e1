"""What changes the checksum of a user's object, and what does not."""

import functools
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from zcfast.proxies import fisher, snip
from zcfast.scoring.fingerprint import fingerprint

SCRIPT = """
import functools, math
from dataclasses import dataclass
import numpy as np
from zcfast.proxies import Proxy
from zcfast.scoring.fingerprint import fingerprint
from zcfast.passes import Forward
FACTOR = 3.0
def helper(x, by=2):
    return FACTOR * x * by
def closure(k):
    return lambda x: k + x
class Base(Proxy):
    name, source, needs = "own", "none", (Forward,)
    def value(self, trace):
        if trace in {"x", "y", "z"}:
            return np.mean([1.0])
        return helper(self.inner(1.0))
@dataclass(frozen=True)
class Own(Base):
    k: float = 1.0
    inner = staticmethod(closure(1))
    listed = ("a", [1, {"b": {"c", "d", "e"}}])
    @functools.cached_property
    def cached(self):
        return 1
    @property
    def read(self):
        return 2
"""


def printed(script: str) -> str:
    Path("script.py").write_text(script + "\nprint(fingerprint(Own()))\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "script.py"], capture_output=True, text=True, check=True, env=environment)
    return done.stdout


@pytest.fixture(autouse=True)
def directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.slow
def test_two_processes_and_lines_moved_have_one():
    assert printed("\n\n# A remark.\n" + SCRIPT) == printed(SCRIPT)


CHANGES = [
    ("FACTOR = 3.0", "FACTOR = 4.0"),
    ("x * by", "x + by"),
    ("by=2", "by=3"),
    ("closure(1)", "closure(2)"),
    ("k + x", "k - x"),
    ("k: float = 1.0", "k: float = 2.0"),
    ('"b": {"c"', '"b": {"f"'),
    ('{"x", "y", "z"}', '{"x", "y", "w"}'),
    ("np.mean", "np.median"),
    ("        return 1\n", "        return 3\n"),
    ("        return 2\n", "        return 3\n"),
]


def imported(script: str, name: str) -> str:
    """The checksum of a module's object."""
    Path(f"{name}.py").write_text(script)
    specification = importlib.util.spec_from_file_location(name, f"{name}.py")
    sys.modules[name] = module = importlib.util.module_from_spec(specification)
    try:
        specification.loader.exec_module(module)
        return fingerprint(module.Own())
    finally:
        del sys.modules[name]


def test_changes_of_code_and_values():
    scripts = [SCRIPT.replace(old, new) for old, new in CHANGES]
    assert all(SCRIPT.count(old) == 1 for old, _ in CHANGES)
    made = [imported(script, f"own_{number}") for number, script in enumerate([SCRIPT, *scripts])]
    assert len(set(made)) == len(made)
    assert imported("# A remark.\n" + SCRIPT, "again") == made[0]


def made(k):
    class Own:
        def value(self):
            return k

    return Own()


def test_state_closures_and_tensors():
    ones = torch.ones(3)
    values = [made(1), made(2), snip(), fisher(), fisher(weighting="channel"), ones, torch.zeros(3), ones.double()]
    values += [
        functools.partial(made, 1),
        functools.partial(made, 2),
        made,
        made(1).value,
        len,
        sum,
        Path,
        ones.bfloat16(),
    ]
    assert len({fingerprint(value) for value in values}) == len(values)
    assert fingerprint(torch.ones(3)) == fingerprint(ones)
    assert fingerprint(made(1)) == fingerprint(made(1))


def test_objects_that_refer_to_themselves():
    loop = [1]
    loop.append(loop)
    assert fingerprint(loop) == fingerprint(loop)
