"""Proxies and algorithms of the user's own at their import paths, as spaces are."""

import os
import subprocess
import sys

import pytest

from zcfast.scores import Scores

MINE = """
import torch
from zcfast import search
from zcfast.passes import LossGradient
from zcfast.proxies import Proxy, register

class Largest(Proxy):
    name, source = "largest", "a test"
    needs = (LossGradient,)
    def layerwise(self, results):
        return torch.stack([g.abs().max().double() for g in results[LossGradient].gradients])

@register
class Known(Largest):
    name = "known"

class Mine(search.RandomSearch):
    name = "mine"

number = 3
"""
SCORE = ("score", "nasbench201", "--sample", "3", "--images", "random", "--batch-size", "4", "--option", "modules=1")


@pytest.fixture
def command(tmp_path):
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "table.csv").write_text("index,test\n" + "".join(f"{row},{row / 200}\n" for row in range(15_625)))
    path = os.pathsep.join(each for each in sys.path if each)
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}

    def run(*words):
        call = [sys.executable, "-m", "zcfast", *words]
        return subprocess.run(call, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)

    return run


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_proxies_at_import_paths(command, tmp_path, workers):
    words = ("--proxies", "mine:Largest,snip,mine:Known", "--out", "s.parquet", "--workers", workers)
    done = command(*SCORE, *words)
    assert done.returncode == 0, done.stderr
    scores = Scores.load(tmp_path / "s.parquet")
    assert list(scores.columns) == ["largest", "snip", "known"]
    assert scores["largest"].isfinite().all()
    assert scores["largest"].equal(scores["known"])


@pytest.mark.slow
def test_an_algorithm_at_an_import_path(command):
    words = ("search", "nasbench201", "--table", "table.csv", "--budget", "5", "--runs", "2", "--out", "t.parquet")
    done = command(*words, "--algorithm", "mine:Mine")
    assert done.returncode == 0, done.stderr
    shown = command("show", "t.parquet")
    assert "trainings of nasbench201: mine, 2 runs" in shown.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("proxies", "message"),
    [
        ("mine:number", "zcfast: mine:number: expected a class of zcfast.proxies.Proxy, got 3"),
        ("mine:none", "zcfast: mine:none: AttributeError"),
        ("none_such:X", "zcfast: none_such:X: ModuleNotFoundError"),
        ("mine:", "zcfast: mine:: expected MODULE:NAME, such as mymodule:MyProxy"),
        ("mine:Known,mine:Known", "expected different names"),
    ],
)
def test_what_is_no_proxy_at_an_import_path(command, tmp_path, proxies, message):
    done = command(*SCORE, "--proxies", proxies, "--out", "s.parquet")
    assert done.returncode == 1
    assert message in done.stderr
    assert not (tmp_path / "s.parquet").exists()
