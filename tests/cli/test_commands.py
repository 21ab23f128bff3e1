import runpy
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

import zcfast
from tests.shared import environment, shared_data
from zcfast import cli
from zcfast.cli import arguments, terminal
from zcfast.proxies import resolve
from zcfast.proxies.sets import cost
from zcfast.scores import Scores


@pytest.fixture(autouse=True)
def _empty_directory(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


def files() -> list[str]:
    return sorted(path.name for path in Path().iterdir())


SCORE = ("score", "nasbench201", "--proxies", "params,flops", "--out", "scores.parquet")


def table_file() -> str:
    """A table in which parameters rank perfectly; the first architecture has no accuracy."""
    accuracies = zcfast.score_space("nasbench201", ["params"])["params"].tolist()
    rows = "".join(f"{index},{accuracy}\n" for index, accuracy in enumerate(accuracies) if index > 0)
    Path("table.csv").write_text("index,test\n0,\n" + rows)
    return "table.csv"


def test_options_of_closed_forms(run):
    arguments = ("score", "nasbench201", "--proxies", "path_rank", "--out", "scores.parquet", "--option")
    assert run(*arguments, "path_rank_version=1")[0] == 0
    expected = zcfast.score_space("nasbench201", ["path_rank"], path_rank_version=1)
    assert torch.equal(Scores.load("scores.parquet")["path_rank"], expected["path_rank"])
    _, _, err = run(*arguments, "path_rank_version=3")
    assert "path_rank_version: expected one of 1, 2, got 3" in err


def test_score_writes_the_file_and_prints_the_summary(run):
    status, out, err = run(*SCORE, "--option", "stem_channels=8", "--top", "2")
    assert (status, err) == (0, "")
    loaded = Scores.load("scores.parquet")
    expected = zcfast.score_space("nasbench201", ["params", "flops"], stem_channels=8)
    assert loaded.provenance == expected.provenance
    for name in ("params", "flops"):
        assert torch.equal(loaded[name], expected[name])
    assert "15,625 cells in " in out
    assert "cells/s" in out
    best = expected["params"].max().item()
    assert f"  1. params {best:,}   flops " in out
    assert "  0 → 3  nor_conv_3x3  1 → 3  nor_conv_3x3  2 → 3  nor_conv_3x3" in out
    assert files() == ["scores.parquet"]


def test_show_prints_the_summary_of_the_file(run):
    _, first, _ = run(*SCORE, "--table", table_file())
    status, second, _ = run("show", "scores.parquet", "--table", "table.csv")
    assert status == 0
    start = "The best 5 by params:"
    assert second[second.index(start) :] == first[first.index(start) :]
    first_row = next(line for line in second.splitlines() if line.startswith("│ test"))
    assert first_row.replace("│", " ").split() == ["test", "params", "1.000", "1.000", "64"]


def test_top_0_draws_nothing(run):
    status, out, _ = run(*SCORE, "--top", "0")
    assert status == 0
    assert "best" not in out


def test_spaces(run):
    status, out, _ = run("spaces")
    assert status == 0
    for text in ("nasbench101", "423,624", "15,625", "6,466", "NAS-Bench-201", "which are not listed"):
        assert text in out


def test_info(run):
    status, out, _ = run("info")
    assert status == 0
    lines = {name: value.strip() for name, value in (line.split(":", 1) for line in out.splitlines())}
    assert lines["zcfast"] == zcfast.__version__
    assert lines["torch"] == torch.__version__
    assert lines["CUDA code"] in ("built in", "not built in")
    assert lines["SIMD"]


def test_public_names_are_listed_and_there_without_importing_torch():
    code = "import sys, zcfast; assert set(dir(zcfast)) == set(zcfast.__all__); assert 'torch' not in sys.modules; "
    code += "print([getattr(zcfast, name) for name in zcfast.__all__][0], zcfast.search.run, zcfast.report.html)"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, env=environment())


def test_help_has_examples_and_needs_no_torch():
    code = "import sys; sys.argv = ['zcfast', 'score', '--help']; from zcfast.cli import main\ntry: main()\nfinally: "
    code += "print(sorted({'torch', 'pyarrow', 'scipy', 'numpy'} & set(sys.modules)))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment(COLUMNS="80"))
    assert "zcfast score nasbench201 --proxies flops --out s.parquet --table known.npz" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("score", "nasbench11", *SCORE[2:]), 1, "unknown search space 'nasbench11': did you mean nasbench101"),
        ((*SCORE[:3], "parms", *SCORE[4:]), 1, "unknown proxy 'parms': did you mean params?"),
        ((*SCORE[:3], "params,params", *SCORE[4:]), 1, "--proxies: expected different names"),
        ((*SCORE[:3], ",", *SCORE[4:]), 1, "--proxies: expected different names"),
        ((*SCORE, "--option", "stem_chanels=3"), 1, "unknown option 'stem_chanels': did you mean stem_channels"),
        ((*SCORE, "--option", "modules=many"), 1, "modules: expected an integer from 1 to 100, got 'many'"),
        ((*SCORE, "--option", "stem"), 1, "--option: expected KEY=VALUE, each key once, got 'stem'"),
        ((*SCORE, "--option", "a=1", "--option", "a=2"), 1, "each key once, got 'a=2'"),
        ((*SCORE, "--table", "none.npz"), 1, "none.npz: expected a file of accuracies, got none"),
        ((*SCORE, "--top", "-1"), 2, "Invalid value for '--top'"),
        ((*SCORE[:-1], "no/such/scores.parquet"), 1, "no/such/scores.parquet: cannot write"),
        ((*SCORE[:-1], "."), 1, "expected a file to write, got a directory"),
        (SCORE[:4], 2, "Missing option '--out'"),
        (("scor",), 2, "No such command 'scor'"),
        (("score", "--stem", "3"), 2, "No such option"),
        (("show", "none.parquet"), 1, "none.parquet: expected a Parquet file of scores saved by zcfast, got no file"),
        (("show", "none.parquet", "--target", "85"), 1, "none.parquet: expected a Parquet file of scores saved by"),
    ],
)
def test_bad_input_is_one_line(run, arguments, status, message):
    came, out, err = run(*arguments)
    assert (came, out) == (status, "")
    assert err.startswith("zcfast: ")
    assert err.count("\n") == 1
    assert message in err
    assert not files()


@pytest.mark.parametrize("out", ["no/such/scores.parquet", ".", "/dev/null"])
def test_an_output_that_cannot_be_written_is_noticed_before_scoring(run, monkeypatch, out):
    monkeypatch.setattr(zcfast, "score_space", lambda *_, **__: pytest.fail("scored"), raising=False)
    assert run(*SCORE[:-1], out)[0] == 1


def test_an_error_keeps_the_file_of_before(run):
    run(*SCORE)
    before = Path("scores.parquet").read_bytes()
    run(*SCORE, "--option", "wrong=1")
    assert Path("scores.parquet").read_bytes() == before


def assert_interrupted(script: str, arguments: Sequence[str], number: int = signal.SIGINT) -> None:
    """Run a command that prints "started", and press Ctrl-C or send another signal."""
    # A shell's background jobs ignore the signal, and what they start inherits that.
    script = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n" + script
    pipe, command = subprocess.PIPE, [sys.executable, "-c", script, *arguments]
    process = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment())
    assert process.stdout.readline() == "started\n"
    process.send_signal(number)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert err.split() == ["zcfast:", "interrupted"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.slow
def test_ctrl_c_in_the_middle(number):
    script = """
import sys, time, zcfast
from zcfast import cli
def slow(space, proxies, *, progress, **options):
    print("started", flush=True)
    time.sleep(60)
zcfast.score_space = slow
sys.argv = ["zcfast", *sys.argv[1:]]
cli.main()
"""
    assert_interrupted(script, SCORE, number)
    assert not files()


INTERRUPTED_IMPORT = """
import os, runpy, signal, sys
class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == MODULE:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupt())
sys.argv[1:] = ["score", "nasbench201", "--proxies", "params", "--out", "s.parquet"]
runpy.run_module("zcfast", run_name="__main__")
"""


@pytest.mark.parametrize(
    "module", ["typer", "rich", "numpy", "numpy.lib", "torch", "torch.nn", "zcfast.scoring", "pyarrow"]
)
def test_ctrl_c_while_something_is_imported(module):
    command = [sys.executable, "-c", INTERRUPTED_IMPORT.replace("MODULE", repr(module))]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False)
    assert (done.returncode in (130, -signal.SIGINT), done.stderr) == (True, "zcfast: interrupted\n")
    assert not Path("s.parquet").exists()


@pytest.mark.slow
def test_a_terminal_without_unicode_gets_question_marks():
    Path("test.py").write_text("from zcfast.cli import main; main()")
    command = [sys.executable, "test.py", *SCORE, "--table", table_file()]
    variables = environment(PYTHONIOENCODING="latin-1")
    done = subprocess.run(command, capture_output=True, text=True, env=variables, check=True)
    assert "0 ? 3  nor_conv_3x3" in done.stdout


def test_module_and_script_are_one(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["zcfast", "spaces"])
    monkeypatch.setattr(cli, "main", lambda: sys.exit(7))
    with pytest.raises(SystemExit) as exit_:
        runpy.run_module("zcfast", run_name="__main__")
    assert exit_.value.code == 7


@pytest.mark.parametrize(
    ("space", "correlations"),
    [
        ("nasbench101", {"test": 0.365}),
        ("nasbench201", {"test_cifar10": 0.780, "test_cifar100": 0.766, "test_imagenet16": 0.753}),
    ],
)
def test_the_releases_rank_as_published(run, space, correlations):
    table = str(shared_data(f"{space}/accuracies.npz"))
    arguments = ("--proxies", "expected_synflow", "--out", "scores.parquet", "--table", table, "--top", "0")
    status, out, _ = run("score", space, *arguments)
    assert status == 0
    rows = [line.replace("│", " ").split() for line in out.splitlines() if line.startswith("│ test")]
    assert {row[0]: float(row[2]) for row in rows} == pytest.approx(correlations, abs=0.003)


def test_version(run):
    assert run("--version") == (0, zcfast.__version__ + "\n", "")


def test_options_in_pythons_spelling():
    pairs = ["a=False", "b=True", "c=false", "d=3", "e=pytorch"]
    assert arguments.options(pairs) == {"a": False, "b": True, "c": False, "d": 3, "e": "pytorch"}


def test_the_progress_bar_shows_the_time_to_go(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr("rich.console.monotonic", lambda: now[0])
    with terminal.progress_bar("Scoring") as progress:
        for done in range(4):
            progress(done, 10)
            now[0] += 60
    shown = capsys.readouterr().err
    assert "Scoring" in shown
    assert "30%" in shown
    assert "0:07:00" in shown


def test_progress_is_a_line_now_and_then_where_there_is_no_terminal(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    with terminal.progress_bar("Scoring") as progress:
        for done in range(7):
            progress(done, 10_000)
            now[0] += 10
    assert capsys.readouterr().err.split("\n") == ["zcfast: Scoring: 3 of 10,000", "zcfast: Scoring: 6 of 10,000", ""]


def test_proxies_are_listed_with_what_they_need(run):
    from zcfast.proxies import registered

    status, out, err = run("proxies")
    assert (status, err) == (0, "")
    lines = {line.split()[0]: line for line in out.splitlines() if not line.startswith("--")}
    assert set(lines) == {*registered(), "az_nas", "vkdnw_agg"}
    assert all(kind.source in lines[name] for name, kind in registered().items())
    assert lines["snip"].split()[1:5] == ["3", "passes", "labels", "no"]
    assert "no labels" in lines["swap"]
    assert " 4 rounds" in lines["swap"]


def test_named_sets_of_proxies():
    from zcfast.proxies import registered
    from zcfast.scoring import PAPER

    assert arguments.proxy_names("paper") == list(PAPER)
    assert arguments.proxy_names("params, paper") == ["params", *PAPER]
    assert arguments.proxy_names("all") == list(registered())
    assert {"naswot", "zen", "meco"} <= set(arguments.proxy_names("modern"))
    assert not {"snip", "params"} & set(arguments.proxy_names("modern"))
    assert {"params", "naswot", "synflow"} <= set(arguments.proxy_names("cheap"))
    dear = {"snip", "zen", "swap", "meco", "meco_opt", "dss", "dextr", "head_confidence", "hidden_cov"}
    assert not dear & set(arguments.proxy_names("cheap"))


MEASURED = {"naswot": 0.36, "gradsign": 2.9, "logsynflow": 0.36, "vkdnw_entropy": 5.1, "dextr": 1.99, "ntk_cond": 14.2}
MEASURED |= {
    "wrcor_weighted": 1.19,
    "dss": 3.36,
    "head_confidence": 0.56,
    "hidden_cov": 1.11,
    "meco": 4 * 0.14,
    "meco_opt": 4 * 0.14,
}


@pytest.mark.parametrize(("name", "units"), MEASURED.items())
def test_the_cost_of_a_proxy_is_what_the_documentation_measures(name, units):
    """Of which a forward and backward pass, one unit, is three forward passes."""
    assert cost(resolve(name)) == round(3 * units)


def test_algorithms_are_listed(run):
    status, out, _ = run("algorithms")
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()] == list(zcfast.search.ALGORITHMS)
    assert all(line.endswith(".") for line in out.splitlines())


def test_arguments_of_a_model(run):
    model = ("score", "torch", "torch.nn:Linear", "--input", "5", "--proxies", "params")
    status, out, _ = run(*model, "--arg", "in_features=5", "--arg", "out_features=3")
    assert status == 0
    assert "18" in out
    assert "--arg: expected KEY=VALUE" in run(*model, "--arg", "in_features")[2]
    assert "torch.nn:Linear: TypeError" in run(*model, "--arg", "nope=5")[2]


def test_a_model_that_is_made_takes_no_arguments(run):
    Path("made_here.py").write_text("from torch import nn\nnet = nn.Linear(5, 3)\n")
    words = ("score", "torch", "made_here:net", "--input", "5", "--proxies", "params", "--arg", "a=1")
    assert "expected a class or function for arguments, got Linear" in run(*words)[2]
