import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import zcfast
from tests.cli.test_commands import assert_interrupted, files
from tests.shared import shared_data
from zcfast.cli.spaces import _workers
from zcfast.images import load_images, random_images
from zcfast.scores import Scores
from zcfast.scoring import PAPER
from zcfast.scoring.architectures import score_architectures
from zcfast.scoring.store import Store
from zcfast.spaces.listing import read_architectures

SMALL = ("--option", "stem_channels=4", "--option", "modules=1")
NETWORK = {"stem_channels": 4, "modules": 1}
NONE = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"
SKIP = "|skip_connect~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|"
MODELS = """
import torch
from torch import nn

def small():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10))

class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 5)
    def forward(self, x):
        return {"logits": self.layer(x)}

class Raises(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 3)
    def forward(self, x):
        raise RuntimeError("first line\\nsecond line")

class Half(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 5)
    def forward(self, x):
        return self.layer(x.sign())

ready = small()
number = 3

def fails():
    raise KeyError("nothing")

def quits():
    raise SystemExit(0)
"""


@pytest.fixture(autouse=True)
def _directory(monkeypatch, tmp_path, one_thread):
    """An empty directory with one thread, and no trace of the models that it had."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    sys.modules.pop("models_of_a_test", None)


@pytest.fixture
def models() -> str:
    Path("models_of_a_test.py").write_text(MODELS)
    return "models_of_a_test"


def images_file(classes: int = 10, size: int = 8) -> str:
    pixels = np.random.default_rng(0).integers(0, 256, (20, size, size, 3), dtype=np.uint8)
    names = np.array([f"class {k}" for k in range(classes)])
    np.savez("images.npz", images=pixels, labels=np.arange(20) % classes, classes=names)
    return "images.npz"


def score(*arguments: str) -> tuple[str, ...]:
    return (*closed_form(*arguments), "--batch-size", "4")


def closed_form(*arguments: str) -> tuple[str, ...]:
    return ("score", "nasbench201", *arguments, *SMALL, "--out", "s.parquet")


def test_all_proxies_on_a_sample(run):
    arguments = ("--proxies", "paper", "--sample", "3", "--images", images_file(), "--seed", "1")
    status, out, err = run(*score(*arguments))
    assert (status, err) == (0, "")
    assert out.startswith("3 cells in ")
    loaded = Scores.load("s.parquet")
    assert list(loaded.columns) == list(PAPER)
    space = zcfast.space("nasbench201")
    cells = space.sample_distinct(3, torch.Generator().manual_seed(1))
    batch = load_images("images.npz", 4, 1)
    expected = score_architectures(space, PAPER, cells, batch, seed=1, **NETWORK)
    assert loaded.provenance == expected.provenance
    for name in PAPER:
        assert torch.equal(loaded[name], expected[name])


def test_architectures_of_a_file_with_closed_forms_between(run):
    Path("list.txt").write_text(f"# two\n{SKIP}\n\n{NONE}\n")
    arguments = ("--proxies", "params,jacob_cov,flops", "--architectures", "list.txt", "--images", "random")
    status, out, err = run(*score(*arguments))
    assert (status, err) == (0, "")
    assert "jacob_cov: no score for 1 of 2; 1 of them undefined: the Jacobian" in out
    loaded = Scores.load("s.parquet")
    assert list(loaded.columns) == ["params", "jacob_cov", "flops"]
    assert loaded["params"].dtype == torch.int64
    assert loaded["jacob_cov"].isnan().tolist() == [False, True]
    batch = random_images(4, (3, 32, 32), 10, 0)
    assert loaded.provenance.options["images"] == batch.protocol()
    cells = read_architectures(zcfast.space("nasbench201"), "list.txt")
    expected = score_architectures("nasbench201", ["jacob_cov"], cells, batch, **NETWORK)
    assert loaded["jacob_cov"][0] == expected["jacob_cov"][0]
    assert loaded.reasons == expected.reasons
    _, shown, _ = run("show", "s.parquet")
    assert "jacob_cov: no score for 1 of 2" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--device", "cuda"), "--device: no effect on params"),
        (("--seed", "3"), "--seed: no effect on params"),
        (("--workers", "2"), "--workers: no effect on params"),
        (("--option", "progress=1"), "unknown option 'progress'"),
        (("--option", "cells=1"), "unknown option 'cells'"),
        (("--option", "resolution=131072"), "resolution: expected an integer from 1 to 1024, got 131072"),
        (("--option", "classes=99999999999999999999"), "classes: expected an integer from 1 to 1000000"),
    ],
)
def test_a_closed_form_refuses_what_it_cannot_honour(run, arguments, message):
    status, _, err = run("score", "nasbench201", "--proxies", "params", *arguments, "--out", "s.parquet")
    assert status != 0
    assert message in err
    assert err.count("\n") == 1


def test_closed_forms_of_a_sample(run):
    status, _, _ = run(*closed_form("--proxies", "params,expected_synflow", "--sample", "5", "--seed", "0"))
    assert status == 0
    cells = zcfast.space("nasbench201").sample_distinct(5, torch.Generator().manual_seed(0))
    assert torch.equal(Scores.load("s.parquet").cells.operations, cells.operations)


def test_synflow_needs_no_images(run):
    assert run(*score("--proxies", "synflow", "--sample", "2"))[0] == 0
    assert Scores.load("s.parquet").provenance.options["images"] is None


def test_options_of_the_network(run):
    arguments = ("--option", "initialisation=kaiming_fan_in", "--option", "batch_norm=false")
    status, _, _ = run(*score("--proxies", "snip", "--sample", "2", "--images", images_file(classes=5), *arguments))
    assert status == 0
    options = Scores.load("s.parquet").provenance.options
    assert (options["initialisation"], options["batch_norm"]) == ("kaiming_fan_in", False)
    assert options["network"] == {
        **NETWORK,
        "classes": 5,
        "resolution": 8,
        "image_channels": 3,
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--proxies", "paper", "--images", "random"),
            "--sample N or --architectures FILE: expected one of them for grad",
        ),
        (("--proxies", "paper", "--images", "random"), "of one core"),
        (
            ("--proxies", "params", "--sample", "15626"),
            "--sample: expected at most 15625 architectures, the size of the space, got 15626",
        ),
        (
            ("--proxies", "snip", "--sample", "2"),
            "--images: expected a path, or 'random' for noise, for snip, got none",
        ),
        (("--proxies", "params", "--images", "random"), "--images: no effect on params"),
        (("--proxies", "params"), "--batch-size: no effect on params"),
        (("--proxies", "paper,snip", "--sample", "2"), "--proxies: expected different names"),
        (("--proxies", "snap", "--sample", "2"), "unknown proxy 'snap'"),
        (("--proxies", "snip", "--sample", "2", "--images", "no.npz"), "no.npz: expected an .npz archive"),
        (("--proxies", "snip", "--sample", "2", "--images", "list.txt"), "list.txt: expected an .npz archive"),
        (("--proxies", "snip", "--sample", "2", "--architectures", "list.txt"), "expected it or --architectures, got"),
        (("--proxies", "params", "--architectures", "list.txt"), "list.txt, line 2: architecture: expected"),
        (("--proxies", "snip", "--sample", "2", "--images", "random", "--device", "tpu"), "expected cpu or cuda, got"),
        (("--proxies", "snip", "--sample", "2", "--images", "random", "--option", "depth=2"), "unknown option 'depth'"),
    ],
)
def test_bad_input_is_one_line(run, arguments, message):
    Path("list.txt").write_text("# a comment\nnot an architecture\n")
    status, out, err = run(*score(*arguments))
    assert (status, out) == (1, "")
    assert err.startswith("zcfast: ")
    assert err.count("\n") == 1
    assert message in err
    assert files() == ["list.txt"]


def test_a_file_where_the_parts_would_go(run):
    Path("s.parquet.parts").touch()
    status, _, err = run(*score("--proxies", "synflow", "--sample", "2"))
    assert (status, err) == (1, "zcfast: s.parquet.parts: expected a directory for finished scores, got a file\n")


def test_workers_by_default_are_torchs_threads_with_ten_architectures_each(monkeypatch):
    cells = zcfast.space("nasbench201").enumerate()
    monkeypatch.setattr("torch.get_num_threads", lambda: 4)
    amounts = (1, 19, 20, 39, 40, 15625)
    assert [_workers(cells[:amount], "cpu") for amount in amounts] == [1, 1, 2, 3, 4, 4]
    assert _workers(cells, "cuda") == _workers(None, "cpu") == 1


def test_workers_are_one_or_more(run):
    status, _, err = run(*score("--proxies", "snip", "--sample", "2", "--images", "random", "--workers", "0"))
    assert status == 2
    assert "Invalid value for '--workers'" in err
    assert err.count("\n") == 1


def test_images_that_do_not_fit(run):
    sample = ("--proxies", "snip", "--sample", "2", "--images")
    _, _, err = run(*score(*sample, images_file(classes=4), "--option", "classes=10"))
    assert "classes: expected 4, that of the images, got 10" in err
    _, _, err = run(*score(*sample, images_file(size=10)))
    assert "resolution: expected a multiple of 4, got 10" in err
    _, _, err = run("score", "nasbench201", *sample, "images.npz", "--batch-size", "21", "--out", "s.parquet")
    assert "images.npz: expected at least 21 pictures, one for each of the batch, got 20" in err
    assert files() == ["images.npz"]


def test_the_time_of_a_whole_space_follows_the_proxies(run):
    hours = {}
    for proxies in ("synflow", "snip", "paper"):
        _, _, err = run("score", "nasbench201", "--proxies", proxies, "--images", "random", "--out", "s.parquet")
        hours[proxies] = float(re.search(r"all 15,625 would take about ([\d.]+) hours of one core", err)[1])
    assert 0.1 <= hours["synflow"] < hours["snip"] < hours["paper"]
    assert 10 < hours["paper"] < 30  # 3.7 s a network were measured


@pytest.mark.slow
def test_ctrl_c_in_the_middle_and_the_same_command_again(run):
    script = """
import sys, time
from zcfast import cli
from zcfast.scoring import task
original, calls = task.score, []
def slow(*arguments, **options):
    calls.append(1)
    if len(calls) == 3:
        print("started", flush=True)
        time.sleep(60)
    return original(*arguments, **options)
task.score = slow
sys.argv = ["zcfast", *sys.argv[1:]]
cli.main()
"""
    small = ("--images", "random", "--batch-size", "4")
    arguments = score("--proxies", "snip,path_rank", "--sample", "5", *small)
    assert_interrupted(script, arguments)
    assert files() == ["s.parquet.parts"]
    status, out, err = run(*arguments, "--workers", "2")
    assert (status, err) == (0, "")
    assert out.startswith("2 of 5 architectures are in s.parquet.parts from an earlier run\n3 cells in ")
    assert files() == ["s.parquet"]
    content = Path("s.parquet").read_bytes()
    status, out, _ = run(*arguments)
    assert out.startswith("5 cells in ")
    assert Path("s.parquet").read_bytes() == content


def test_a_model_by_its_import_path(run, models):
    arguments = ("--input", "3x8x8", "--seed", "2", "--out", "m.json", "--proxies", "paper,params,swap")
    status, out, err = run("score", "torch", f"{models}:small", *arguments)
    assert (status, err) == (0, "")
    assert f"{models}:small: 8 inputs of 3x8x8, random" in out
    content = json.loads(Path("m.json").read_text())
    torch.manual_seed(2)
    module = sys.modules[models].small()
    expected = zcfast.score(module, tuple(random_images(8, (3, 8, 8), 10, 2)), [*PAPER, "params", "swap"], seed=2)
    assert list(content["scores"]) == list(expected)
    for name, each in expected.items():
        came = content["scores"][name]
        assert (came["value"], came["log_value"], came["status"]) == (each.value, each.log_value, "ok")
        assert (came["standard_error"], came["method"]) == (each.standard_error, each.method)
        assert f"│ {name} " in out
    assert content["scores"]["swap"]["standard_error"] > 0
    assert content["scores"]["synflow"]["method"] == "pairs"
    assert content["images"] == random_images(8, (3, 8, 8), 10, 2).protocol()
    assert (content["seed"], content["protocol"]["loss"]) == (2, "cross_entropy")


def test_a_model_on_images_of_a_file(run, models):
    arguments = ("--images", images_file(), "--batch-size", "5", "--proxies", "snip")
    status, out, _ = run("score", "torch", f"{models}:ready", *arguments)
    assert status == 0
    assert "5 inputs of 3x8x8, images.npz" in out


def test_other_inputs_and_outputs(run, models):
    status, out, _ = run("score", "torch", f"{models}:Tokens", "--input", "6", "--classes", "5", "--proxies", "snip")
    assert status == 0
    assert "8 inputs of 6, random" in out


def test_a_proxy_without_a_score_says_why(run, models):
    arguments = ("--input", "6", "--proxies", "snip,jacob_cov", "--out", "m.json")
    status, out, _ = run("score", "torch", f"{models}:Half", *arguments)
    assert status == 0
    assert "undefined" in out
    scores = json.loads(Path("m.json").read_text())["scores"]
    assert scores["jacob_cov"]["value"] is None
    assert scores["jacob_cov"]["status"] == "undefined"
    assert scores["snip"]["status"] == "ok"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("models_of_a_test", "--input", "3x8x8"), "expected MODULE:NAME, such as torchvision.models:resnet18"),
        (("no_such_module:x", "--input", "3x8x8"), "ModuleNotFoundError: No module named 'no_such_module'"),
        (("models_of_a_test:nothing", "--input", "3x8x8"), "has no attribute 'nothing'"),
        (("models_of_a_test:number", "--input", "3x8x8"), "expected an nn.Module or what returns one, got int"),
        (("models_of_a_test:fails", "--input", "3x8x8"), "models_of_a_test:fails: KeyError: 'nothing'"),
        (("models_of_a_test:quits", "--input", "3x8x8"), "models_of_a_test:quits: SystemExit: 0"),
        (("models_of_a_test:Raises", "--input", "3x8x8"), "the model raised RuntimeError: first line"),
        (("models_of_a_test:Raises", "--input", "3x8x8", "--classes", "3"), "no score: failed: RuntimeError: first"),
        (("models_of_a_test:small", "--input", "3x8"), "the model raised "),
        (("models_of_a_test:small", "--input", "3*8"), "--input: expected sizes with x between"),
        (("models_of_a_test:small", "--input", "3x0x8"), "--input: expected sizes with x between"),
        (("models_of_a_test:small",), "--input: expected the shape of one input"),
        (("models_of_a_test:small", "--images", "random"), "--input: expected the shape of one input"),
        (("models_of_a_test:small", "--images", "no.npz"), "no.npz: expected an .npz archive"),
        (("models_of_a_test:small", "--images", "no.npz", "--classes", "3"), "--classes: no effect"),
        (("models_of_a_test:small", "--input", "3x8x8", "--classes", "300", "--seed", "1"), "expected classes 0 to 9"),
        (
            ("models_of_a_test:small", "--input", "3x8x8", "--proxies", "snop"),
            "unknown proxy 'snop': did you mean snip",
        ),
        (("models_of_a_test:small", "--input", "3x8x8", "--device", "tpu"), "device: expected cpu or cuda"),
        (("models_of_a_test:small", "--input", "3x8x8", "--out", "no/m.json"), "no/m.json: cannot write"),
    ],
)
def test_a_wrong_model_is_one_line(run, models, arguments, message):
    status, out, err = run("score", "torch", *arguments)
    assert (status, out) == (1, "")
    assert err.startswith("zcfast: ")
    assert err.count("\n") == 1
    assert message in err


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a CUDA device")
def test_cuda_without_a_device_is_one_line(run, models):
    sampled = score("--proxies", "snip", "--sample", "2", "--images", "random", "--device", "cuda")
    module = ("score", "torch", f"{models}:small", "--input", "3x8x8", "--device", "cuda")
    for words in (sampled, module):
        status, out, err = run(*words)
        assert (status, out) == (1, "")
        assert err == "zcfast: device: expected cpu, as PyTorch finds no CUDA device here, got cuda\n"


def test_images_of_another_shape_than_input(run, models):
    arguments = ("--images", images_file(), "--input", "3x9x9")
    _, _, err = run("score", "torch", f"{models}:small", *arguments)
    assert "--input: expected 3x8x8, the shape of the images, got 3x9x9" in err


def test_real_pictures(run):
    images = str(shared_data("images/cifar10_1000.npz"))
    status, _, _ = run(*score("--proxies", "paper", "--sample", "2", "--images", images))
    assert status == 0
    assert Scores.load("s.parquet").provenance.options["images"]["images"] == "cifar10_1000.npz"


def test_help_of_both_commands(run):
    for words in (("score", "--help"), ("score", "torch", "--help")):
        status, out, _ = run(*words)
        assert status == 0
        assert "--images" in out


def test_an_own_space_by_its_import_path(run, tmp_path):
    out = tmp_path / "own.parquet"
    own = ["score", "tests.spaces.own:TwoLayers", "--proxies", "snip,params", "--out", str(out)]
    status, output, error = run(*own, "--sample", "4", "--seed", "1")
    assert (status, error) == (0, "")
    assert "4 cells in" in output
    loaded = Scores.load(out, "tests.spaces.own:TwoLayers")
    assert (len(set(loaded.cells.texts)), list(loaded.columns)) == (4, ["snip", "params"])
    for arguments, message in (
        ((), "expected one of them for snip, params, which build every network\n"),
        (("--sample", "40"), "expected at most about 6 different architectures of tests.spaces.own:TwoLayers, got 40"),
        (("--sample", "2", "--images", "random"), "has an example of its own, got 'random'"),
        (("--sample", "2", "--option", "modules=1"), "unknown option 'modules'"),
    ):
        status, _, error = run(*own, *arguments)
        assert (status, message in error) == (1, True), error


def test_one_output_by_two_names_is_one_run(run):
    Path("link.parquet").symlink_to("s.parquet")
    words = [*closed_form("--proxies", "params")]
    words[words.index("s.parquet")] = "link.parquet"
    with Store("s.parquet.parts"):
        status, _, err = run(*words)
    assert status == 1
    assert "expected one run at a time" in err
    assert run(*words)[0] == 0
    assert Path("link.parquet").is_symlink()
