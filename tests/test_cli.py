import os
import runpy
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import SPACES, small_scores

import zcfast
from zcfast import _native, cli  # noqa: F401 - the first registers the operators
from zcfast.errors import unknown
from zcfast.scores import Scores

calls = []


def fake_score_space(space, proxies, *, progress=None, **options):
    calls.append((space, proxies, options))
    for proxy in proxies:
        if proxy not in ("expected_synflow", "params"):
            raise unknown("proxy", proxy, ("expected_synflow", "params", "flops"))
    for option in options:
        if option != "stem_channels":
            raise unknown("option", option, ("stem_channels",))
    scores = small_scores(space)
    progress(len(scores) // 2, len(scores))
    progress(len(scores), len(scores))
    return Scores(scores.space, scores.cells, {name: scores[name] for name in proxies}, {"options": options})


@pytest.fixture(autouse=True)
def _fake(monkeypatch, tmp_path):
    calls.clear()
    monkeypatch.setattr(zcfast, "score_space", fake_score_space, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the command line in this process: exit status, standard output, standard error."""

    def run(*arguments: str):
        monkeypatch.setattr(sys, "argv", ["zcfast", *arguments])
        for stream in (sys.stdout, sys.stderr):
            monkeypatch.setattr(type(stream), "reconfigure", lambda self, **_: None, raising=False)
        with pytest.raises(SystemExit) as exit_:
            cli.main()
        captured = capsys.readouterr()
        return exit_.value.code, captured.out, captured.err

    return run


def files() -> list[str]:
    return sorted(path.name for path in Path().iterdir())


SCORE = ("score", "nasbench101", "--proxies", "expected_synflow,params", "--out", "scores.parquet")


def table_file(space: str) -> str:
    """A table in which the scores rank perfectly, but for the first architecture, which has no accuracy."""
    rows = "".join(f"{index},{index / 100}\n" for index in range(1, len(SPACES[space])))
    Path("table.csv").write_text("index,test\n0,\n" + rows)
    return "table.csv"


def test_score_writes_the_file_and_prints_the_summary(run):
    status, out, err = run(*SCORE, "--option", "stem_channels=16", "--top", "2")
    assert (status, err) == (0, "")
    assert calls == [(SPACES["nasbench101"], ["expected_synflow", "params"], {"stem_channels": 16})]
    loaded = Scores.load("scores.parquet")
    assert torch.equal(loaded["params"], small_scores(SPACES["nasbench101"])["params"])
    assert "27 cells in " in out
    assert "cells/s" in out
    assert "  1. expected_synflow 3.71429   params 9,999,974" in out
    assert "3 maxpool3x3 ← 0, 2" in out
    assert max(map(len, out.splitlines())) <= 80
    assert files() == ["scores.parquet"]


def test_show_prints_the_summary_of_the_file(run):
    _, first, _ = run(*SCORE, "--table", table_file("nasbench101"))
    status, second, _ = run("show", "scores.parquet", "--table", "table.csv")
    assert status == 0
    start = "The best 5 by expected_synflow:"
    assert second[second.index(start) :] == first[first.index(start) :]
    assert [line.split() for line in second.splitlines() if line.startswith("│ test")] == [
        ["│", "test", "│", "expected_synflow", "│", "1.000", "│", "1.000", "│", "1", "│"],
        ["│", "test", "│", "params", "│", "-1.000", "│", "-1.000", "│", "1", "│"],
    ]


def test_top_0_draws_nothing(run):
    status, out, _ = run(*SCORE, "--top", "0")
    assert status == 0
    assert "best" not in out


@pytest.mark.real_spaces
def test_spaces(run):
    pytest.importorskip("zcfast.spaces")
    status, out, _ = run("spaces")
    assert status == 0
    assert "423,624" in out
    assert "15,625" in out
    assert "6,466" in out


@pytest.mark.real_spaces
def test_info(run):
    if not hasattr(torch.ops.zcfast, "simd_level"):
        pytest.skip("needs the operators that tell how they were built")
    status, out, _ = run("info")
    assert status == 0
    lines = dict(line.split(":", 1) for line in out.splitlines())
    assert lines["zcfast"].strip() == zcfast.__version__
    assert lines["torch"].strip() == torch.__version__
    assert lines["CUDA code"].strip() in ("built in", "not built in")
    assert lines["SIMD"].strip()


def test_help_has_examples_and_needs_no_torch():
    code = "import sys; sys.argv = ['zcfast', 'score', '--help']; from zcfast.cli import main\ntry: main()\nfinally: "
    code += "print(sorted({'torch', 'pyarrow', 'scipy', 'numpy'} & set(sys.modules)))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert "zcfast score nasbench201 --proxies flops --out s.parquet --table known.npz" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("score", "nasbench11", *SCORE[2:]), 1, "unknown search space 'nasbench11': did you mean nasbench101"),
        (
            (*SCORE[:3], "expected_synflw", *SCORE[4:]),
            1,
            "unknown proxy 'expected_synflw': did you mean expected_synflow?",
        ),
        ((*SCORE[:3], "params,params", *SCORE[4:]), 1, "--proxies: expected different names"),
        ((*SCORE[:3], ",", *SCORE[4:]), 1, "--proxies: expected different names"),
        ((*SCORE, "--option", "stem_chanels=3"), 1, "unknown option 'stem_chanels': did you mean stem_channels?"),
        ((*SCORE, "--option", "stem"), 1, "--option: expected KEY=VALUE, each key once, got 'stem'"),
        ((*SCORE, "--option", "a=1", "--option", "a=2"), 1, "each key once, got 'a=2'"),
        ((*SCORE, "--table", "none.npz"), 1, "none.npz: expected a file of accuracies, got none"),
        ((*SCORE, "--top", "-1"), 2, "Invalid value for '--top'"),
        ((*SCORE[:-1], "no/such/scores.parquet"), 1, "no/such/scores.parquet: cannot write"),
        ((*SCORE[:-1], "."), 1, "expected a file to write, got a directory"),
        (SCORE[:4], 2, "Missing option '--out'"),
        (("scor",), 2, "No such command 'scor'"),
        (("score", "--stem", "3"), 2, "No such option"),
        (("show", "none.parquet"), 1, "none.parquet: expected a Parquet file of scores, got no file"),
    ],
)
def test_bad_input_is_one_line(run, arguments, status, message):
    came, out, err = run(*arguments)
    assert (came, out) == (status, "")
    assert err.startswith("zcfast: ")
    assert err.count("\n") == 1
    assert message in err
    assert not files()


def test_an_output_that_cannot_be_written_is_noticed_before_scoring(run):
    run(*SCORE[:-1], "no/such/scores.parquet")
    assert not calls


def test_an_error_keeps_the_file_of_before(run):
    run(*SCORE)
    before = Path("scores.parquet").read_bytes()
    run(*SCORE, "--option", "wrong=1")
    assert Path("scores.parquet").read_bytes() == before


def test_ctrl_c_in_the_middle():
    script = """
import sys, time, zcfast
from conftest import small_space
from zcfast import _native, cli  # noqa: F401 - the first registers the operators
def slow(space, proxies, *, progress, **options):
    print("started", flush=True)
    time.sleep(60)
zcfast.space, zcfast.score_space = small_space, slow
sys.argv = ["zcfast", *sys.argv[1:]]
cli.main()
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", script, *SCORE]
    process = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment)
    assert process.stdout.readline() == "started\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err.split() == ["zcfast:", "interrupted"]
    assert not files()


def test_a_terminal_without_unicode_gets_question_marks(tmp_path):
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "zcfast", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert "Score neural networks" in done.stdout


def test_module_and_script_are_one(run, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["zcfast", "spaces"])
    monkeypatch.setattr(cli, "main", lambda: sys.exit(7))
    with pytest.raises(SystemExit) as exit_:
        runpy.run_module("zcfast", run_name="__main__")
    assert exit_.value.code == 7
