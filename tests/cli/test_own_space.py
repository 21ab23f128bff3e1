"""The whole way of a space of the user's own on the command line, from its import path to a page."""

import subprocess
import sys

import pytest

from tests.shared import environment

SPACE = """
import torch, zcfast
from torch import nn

def build(trial):
    width = trial.suggest_int("width", 4, 7)
    kernel = trial.suggest_categorical("kernel", [1, 3])
    layers = nn.Conv2d(3, width, kernel), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 4)
    return nn.Sequential(*layers)

space = zcfast.Space(build, example=(torch.ones(2, 3, 8, 8), torch.tensor([0, 1])))
"""
PATH = "familyspace:space"


@pytest.fixture
def zcfast(tmp_path):
    """Run a command in a process of its own, where nothing was imported before."""
    (tmp_path / "familyspace.py").write_text(SPACE)
    texts = [f'{{"kernel": {kernel}, "width": {width}}}' for kernel in (1, 3) for width in (4, 5, 6, 7)]
    rows = ['"{}",{}'.format(text.replace('"', '""'), 50 + place) for place, text in enumerate(texts)]
    (tmp_path / "known.csv").write_text("architecture,accuracy\n" + "\n".join(rows) + "\n")

    def run(*arguments):
        call = [sys.executable, "-m", "zcfast", *arguments]
        return subprocess.run(call, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=120)

    return run


@pytest.mark.slow
def test_from_scores_to_a_page(zcfast, tmp_path):
    scored = zcfast("score", PATH, "--proxies", "snip,flops", "--sample", "8", "--out", "s.parquet")
    assert (scored.returncode, scored.stderr) == (0, "")
    imported = zcfast("import", PATH, "known.csv", "--out", "known.parquet")
    assert (imported.returncode, imported.stderr) == (0, "")
    with_table = ("--space", PATH, "--table", "known.parquet")
    shown = zcfast("show", "s.parquet", *with_table)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "8 rows of a user's file" in shown.stdout
    assert '{"kernel": 3, "width": 7}' in shown.stdout
    page = zcfast("report", "s.parquet", *with_table, "--out", "page.html")
    assert (page.returncode, page.stderr) == (0, "")
    assert "Spearman" in (tmp_path / "page.html").read_text()
    found = zcfast(
        *("search", PATH, "--table", "known.parquet", "--algorithm", "reinforce", "--budget", "4", "--runs", "2"),
        *("--out", "t.parquet"),
    )
    assert (found.returncode, found.stderr) == (0, "")
    assert "8 trainings of familyspace:space" in zcfast("show", "t.parquet").stdout


@pytest.mark.slow
def test_a_file_imports_nothing_by_itself(zcfast, tmp_path):
    zcfast("score", PATH, "--proxies", "flops", "--sample", "2", "--out", "s.parquet")
    (tmp_path / "familyspace.py").write_text("open('imported', 'w')")
    shown = zcfast("show", "s.parquet")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert f"the space {PATH} is not here" in shown.stdout
    assert f"--space {PATH} checks them" in shown.stdout
    assert '{"kernel": ' in shown.stdout
    with_table = "--table", "known.csv"
    for command in (("show", "s.parquet", *with_table), ("report", "s.parquet", *with_table, "--out", "page.html")):
        refused = zcfast(*command)
        assert refused.returncode == 1
        assert f"got one at an import path, {PATH}" in refused.stderr
        assert "--space" in refused.stderr
    assert not (tmp_path / "imported").exists()


@pytest.mark.slow
def test_space_has_no_effect_on_trajectories(zcfast):
    zcfast(
        "search", PATH, "--table", "known.csv", "--algorithm", "random_search", "--budget", "2", "--out", "t.parquet"
    )
    refused = zcfast("show", "t.parquet", "--space", PATH)
    assert (refused.returncode, refused.stderr) == (1, "zcfast: --space: no effect on trajectories\n")
