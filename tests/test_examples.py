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
    "design_timm.py": (["--models", "lcnet_050", "resnet10t", "--size", "64"], "2 architectures of modules considered"),
    "own_executor.py": ([], "bit for bit as in this process: True"),
    "own_pass.py": ([], "agreement"),
    "own_space.py": ([], "ageing evolution, 20 trainings"),
}


def ran(name, arguments, tmp_path, **more):
    """The finished script."""
    path = os.pathsep.join([str(Path(zcfast.__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, str(EXAMPLES / name), *arguments]
    environment = {**os.environ, "PYTHONPATH": path, **more}
    return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=300, env=environment)


def test_all_are_run():
    assert sorted(path.name for path in EXAMPLES.glob("*.py")) == sorted(RUNS)


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.slow
def test_example(name, tmp_path):
    arguments, expected = RUNS[name]
    if name == "design_timm.py":
        pytest.importorskip("timm", reason="needs timm: pip install timm", exc_type=(ImportError, RuntimeError))
    done = ran(name, arguments, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert expected in done.stdout
    assert "nan" not in done.stdout


@pytest.mark.slow
def test_a_missing_timm_is_named(tmp_path):
    (tmp_path / "timm.py").write_text("raise ImportError('no timm')")
    path = os.pathsep.join([str(tmp_path), str(Path(zcfast.__file__).parents[1])])
    done = ran("design_timm.py", [], tmp_path, PYTHONPATH=path)
    assert done.returncode == 1
    assert done.stderr == "design_timm.py needs timm, which is not installed: pip install timm\n"


def test_the_mobilenet_family_takes_at_most_forty_lines():
    text = (EXAMPLES / "design_mobilenet.py").read_text()
    family = text[text.index("from torch import nn") : text.index("if __name__")]
    assert sum(bool(line.strip()) for line in family.splitlines()) <= 40
