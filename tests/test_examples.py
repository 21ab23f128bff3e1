"""Every script of examples/ runs on its own and prints what it promises."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import zcfast

EXAMPLES = Path(__file__).parents[1] / "examples"
RUNS = {
    "score_a_module.py": ([], "jacob_cov"),
    "score_a_space.py": (["--cells", "50"], "50 cells of NAS-Bench-201"),
    "compare_with_accuracies.py": (["--cells", "60"], "params: Spearman"),
    "design_latency.py": ([], "15,625 architectures of NAS-Bench-201 considered"),
    "design_mobilenet.py": (["--evaluations", "12", "--keep", "1"], "12 architectures of build considered"),
    "design_text.py": (["--evaluations", "12", "--keep", "3"], "with params <= 400,000; ranked by params"),
    "own_executor.py": ([], "bit for bit as in this process: True"),
    "own_pass.py": ([], "agreement"),
    "own_space.py": ([], "ageing evolution, 20 trainings"),
}


def test_all_are_run():
    assert sorted(path.name for path in EXAMPLES.glob("*.py")) == sorted(RUNS)


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.slow
def test_example(name, tmp_path):
    arguments, expected = RUNS[name]
    command = [sys.executable, str(EXAMPLES / name), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(Path(zcfast.__file__).parents[1])}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=300, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert expected in done.stdout
    assert "nan" not in done.stdout
