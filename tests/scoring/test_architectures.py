import numpy as np
import pytest
import torch

import zcfast
from zcfast.images import random_images
from zcfast.proxies import fisher, registered
from zcfast.scores import Scores
from zcfast.scoring import PAPER
from zcfast.scoring.architectures import ScoringInterrupted, score_architectures
from zcfast.spaces.base import SearchSpace
from zcfast.spaces.listing import read_architectures

SMALL = {"stem_channels": 5, "modules": 1}
NONE = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"

pytestmark = pytest.mark.usefixtures("one_thread")


def images(classes: int = 10):
    return random_images(4, (3, 8, 8), classes, seed=0)


def same(a: Scores, b: Scores) -> bool:
    return all(torch.equal(a[name].nan_to_num(7.5), b[name].nan_to_num(7.5)) for name in a.columns)


def test_every_proxy_and_closed_forms(space):
    cells = space.enumerate()[[1, 200]]
    names = [*PAPER, "expected_synflow", "params", "flops"]
    scores = score_architectures(space, names, cells, images(), **SMALL)
    assert list(scores.columns) == names
    assert scores.reasons == {}
    for name in PAPER:
        assert scores[name].dtype == torch.float64
        assert scores[name].isfinite().all()
    options = {**SMALL, "resolution": 8}
    closed = zcfast.score_space(space, names[-3:], cells=cells, **options)
    assert same(closed, scores)
    for name in names[-3:]:
        assert scores.provenance.columns[name] == closed.provenance.columns[name]


@pytest.mark.parametrize("done", [0, 2])
def test_ctrl_c_keeps_the_scores_so_far(done):
    space = zcfast.space("nasbench201")
    cells = space.enumerate()[[3, 5, 7]]

    def progress(row, rows):
        if row == done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as interrupted:
        score_architectures(space, ["snip", "flops"], cells, images(), progress=progress, **SMALL)
    assert isinstance(interrupted.value, ScoringInterrupted) == bool(done)
    if done:
        kept = interrupted.value.scores
        assert same(kept, score_architectures(space, ["snip", "flops"], cells[:done], images(), **SMALL))
        assert torch.equal(space.index(kept.cells), space.index(cells[:done]))


def test_values_are_those_of_the_built_network():
    space = zcfast.space("nasbench201")
    cells = space.enumerate()[[77]]
    batch = images()
    made = []
    original = SearchSpace.build

    def build(self, *arguments, **options):
        made.append((options["batch_norm"], original(self, *arguments, **options)))
        return made[-1][1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SearchSpace, "build", build)
        scores = score_architectures(space, ["snip", "synflow"], cells, batch, **SMALL)
    assert sorted(has for has, _ in made) == [False, True]
    for batch_norm, module in made:
        name = "snip" if batch_norm else "synflow"
        own = zcfast.score(module, tuple(batch), [name])[name]
        assert scores[name].item() == (own.value if batch_norm else own.log_value)


def test_a_score_depends_on_nothing_but_seed_and_architecture(space):
    rows = [5, 900, 3]
    names = ["grad_norm", "synflow"]
    run = {"images": images(), **SMALL}
    together = score_architectures(space, names, space.enumerate()[rows], **run)
    state = torch.get_rng_state()
    backwards = score_architectures(space, names, space.enumerate()[rows[::-1]], **run)
    alone = score_architectures(space, names[:1], space.enumerate()[[900]], **run)
    other = score_architectures(space, names, space.enumerate()[rows], seed=1, **run)
    assert torch.equal(state, torch.get_rng_state())
    for name in names:
        assert torch.equal(together[name], backwards[name].flip(0))
        assert (together[name] != other[name]).all()
    assert together["grad_norm"][1] == alone["grad_norm"][0]


@pytest.mark.parametrize("cell", [5, 4321])
def test_mean_of_synflow_is_expected_synflow(cell):
    space = zcfast.space("nasbench201")
    cells = space.enumerate()[[cell]]
    run = {"resolution": 8, "stem_channels": 16, "modules": 1}
    drawn = [score_architectures(space, ["synflow"], cells, None, seed=seed, **run)["synflow"] for seed in range(20)]
    expected = zcfast.score_space(space, ["expected_synflow"], cells=cells, **run)["expected_synflow"]
    assert torch.cat(drawn).exp().mean().log().item() == pytest.approx(expected.item(), abs=0.05)


def test_a_network_that_fails_has_a_reason_and_the_run_goes_on(monkeypatch, tmp_path):
    space = zcfast.space("nasbench201")
    cells = space.parse([NONE, "|skip_connect~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|", NONE])
    broken = int(space.index(cells)[1])
    original = SearchSpace.build

    def build(self, architecture, **options):
        if self.index(architecture).item() == broken:
            raise RuntimeError("no memory\nleft")
        return original(self, architecture, **options)

    monkeypatch.setattr(SearchSpace, "build", build)
    done = []
    names = ["jacob_cov", "synflow", "params"]
    scores = score_architectures(space, names, cells, images(), progress=lambda *at: done.append(at), **SMALL)
    assert done == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert scores["jacob_cov"].isnan().all()
    assert scores["synflow"].isnan().tolist() == [False, True, False]
    assert scores["synflow"][[0, 2]].tolist() == [-torch.inf, -torch.inf]
    failed = "failed: RuntimeError: no memory"
    undefined = "undefined: the Jacobian of some sample is constant, so it correlates with no other"
    assert scores.reasons == {"jacob_cov": [undefined, failed, undefined], "synflow": ["", failed, ""]}
    scores.save(tmp_path / "s.parquet")
    loaded = Scores.load(tmp_path / "s.parquet")
    assert loaded.reasons == scores.reasons
    assert loaded.provenance == scores.provenance
    assert same(loaded, scores)
    assert scores.to_arrow()["reason_synflow"].to_pylist() == [None, failed, None]


def test_an_interruption_is_no_failure(monkeypatch):
    def build(self, architecture, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(SearchSpace, "build", build)
    space = zcfast.space("nasbench201")
    with pytest.raises(KeyboardInterrupt):
        score_architectures(space, ["snip"], space.enumerate()[:2], images())


def test_the_provenance(space):
    batch = images(classes=3)
    names = ["snip", fisher(weighting="channel"), "synflow", "synflow_bn"]
    scores = score_architectures(
        space, names, space.enumerate()[:1], batch, seed=4, initialisation="kaiming_fan_in", **SMALL
    )
    provenance, made = scores.provenance, scores.provenance.options
    assert made["network"]["classes"] == 3
    assert made["network"]["resolution"] == 8
    assert made["network"]["stem_channels"] == 5
    assert (provenance.seed, made["initialisation"], made["batch_norm"]) == (4, "kaiming_fan_in", True)
    assert (made["device"], provenance.zcfast, provenance.torch) == ("cpu", zcfast.__version__, torch.__version__)
    assert made["images"] == batch.protocol()
    units = {name: meaning.unit for name, meaning in provenance.columns.items()}
    label = "fisher(weighting='channel')"
    assert units == {"snip": "score", label: "score", "synflow": "ln(score)", "synflow_bn": "ln(score)"}
    assert all(meaning.definition and meaning.source for meaning in provenance.columns.values())


def test_without_batch_norm():
    space = zcfast.space("nasbench201")
    cells = space.enumerate()[[50]]
    without = score_architectures(space, ["snip", "synflow"], cells, images(), batch_norm=False, **SMALL)
    usual = score_architectures(space, ["snip", "synflow"], cells, images(), **SMALL)
    assert without["synflow"] == usual["synflow"]
    assert without["snip"] != usual["snip"]


def test_no_images_where_none_are_read():
    space = zcfast.space("nasbench201")
    names = ["synflow", "synflow_bn", "l2_norm"]
    scores = score_architectures(space, names, space.enumerate()[[5]], None, **SMALL, resolution=8)
    with_images = score_architectures(space, names, space.enumerate()[[5]], images(), **SMALL)
    assert same(scores, with_images)
    assert scores.provenance.options["images"] is None


def test_a_pair_of_tensors_is_a_minibatch():
    space = zcfast.space("nasbench201")
    batch = images()
    pair = (batch.inputs.double(), batch.targets)
    cells = space.enumerate()[[5]]
    scores = score_architectures(space, ["snip"], cells, pair, **SMALL)
    assert same(scores, score_architectures(space, ["snip"], cells, batch, **SMALL))
    assert scores.provenance.options["images"]["images"] == "tensors"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"proxies": ["snop"]}, "unknown proxy 'snop': did you mean snip"),
        ({"proxies": "snip"}, "proxies: expected a list of names, got 'snip'"),
        ({"proxies": None}, "proxies: expected a list of names, got None"),
        ({"proxies": []}, "proxies: expected at least one, got none"),
        ({"proxies": ["snip", "snip"]}, "expected each once, got snip twice"),
        ({"images": None}, "images: expected a minibatch, which snip need, got none"),
        ({"classes": 9}, "classes: expected 10, that of the images, got 9"),
        ({"resolution": 16}, "resolution: expected 8, that of the images, got 16"),
        ({"images": random_images(4, (3, 6, 6), 10, 0)}, "resolution: expected a multiple of 4, got 6"),
        ({"images": random_images(4, (3, 8, 4), 10, 0)}, r"expected floats \[B, channels, H, H\]"),
        ({"images": (torch.ones(2, 3, 8, 8), torch.tensor([0, 10]))}, "got targets from 0 to 10"),
        ({"images": (torch.ones(2, 3, 8, 8), torch.tensor([0]))}, r"targets: expected int64 \[2\]"),
        ({"images": (torch.full((2, 3, 8, 8), torch.nan), torch.tensor([0, 1]))}, "expected finite numbers"),
        ({"device": "tpu"}, "device: expected cpu or cuda, got 'tpu'"),
        ({"initialisation": "xavier"}, "unknown initialisation 'xavier'"),
        ({"seed": "a"}, "seed: expected an integer, got .a."),
        ({"seed": -1}, "seed: expected a number >= 0, got -1"),
        (
            {"images": (np.zeros((1, 3, 8, 8)), np.zeros(1))},
            r"images: expected an ImageBatch or tensors \(inputs, targets\), got ndarray, ndarray",
        ),
        ({"batch_norm": 0}, "batch_norm: expected true or false, got 0"),
        ({"proxies": ["snip", "params"], "batch_norm": False}, "params describes the network with BatchNorm"),
        ({"stem": 3}, "unknown option 'stem'"),
        ({"modules": 0}, "modules: expected an integer from 1 to 100, got 0"),
    ],
)
def test_wrong_arguments(change, message):
    space = zcfast.space("nasbench201")
    arguments = {"space": space, "proxies": ["snip"], "cells": space.enumerate()[:1], "images": images(), **change}
    with pytest.raises(ValueError, match=message):
        score_architectures(**arguments)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_cuda_where_there_is_none():
    space = zcfast.space("nasbench201")
    with pytest.raises(ValueError, match="PyTorch finds no CUDA device here"):
        score_architectures(space, ["snip"], space.enumerate()[:1], images(), device="cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_cuda_gives_what_the_cpu_gives(space, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)  # PyTorch's default rounds to ten bits
    cells = space.enumerate()[[1, 200]]
    cpu = score_architectures(space, PAPER, cells, images(), **SMALL)
    cuda = score_architectures(space, PAPER, cells, images(), device="cuda", **SMALL)
    for name in PAPER:
        torch.testing.assert_close(cuda[name], cpu[name], rtol=1e-2, atol=1e-4)


def test_every_registered_proxy_runs(space):
    names = [name for name in registered() if name not in ("params", "flops")]
    scores = score_architectures(space, names, space.enumerate()[[100]], images(), **SMALL | {"stem_channels": 8})
    assert set(names) == set(scores.columns)
    # Cells have neither attention nor recurrences.
    assert set(scores.reasons) <= {"dss", "head_confidence", "hidden_cov"}
    assert all(text.startswith("undefined: no ") for (text,) in scores.reasons.values())


def test_sample_distinct(space):
    generator = torch.Generator().manual_seed(0)
    index = space.index(space.sample_distinct(2000, generator))
    assert len(index.unique()) == len(index) == 2000
    again = space.index(space.sample_distinct(2000, torch.Generator().manual_seed(0)))
    assert torch.equal(index, again)
    assert len(space.sample_distinct(0)) == 0
    with pytest.raises(ValueError, match="expected a number of architectures >= 0"):
        space.sample_distinct(-1)


def test_sample_distinct_never_repeats():
    space = zcfast.space("nasbench201")
    assert len(space.index(space.sample_distinct(len(space))).unique()) == len(space)
    with pytest.raises(ValueError, match="n: expected at most 15625 architectures, the size of nasbench201, got 15626"):
        space.sample_distinct(len(space) + 1)


def test_read_architectures(space, tmp_path):
    cells = space.enumerate()[[7, 100, 7]]
    first, second, third = space.format(cells)
    path = tmp_path / "list.txt"
    path.write_text(f"# a list\n\n{first}\n  {second}  \r\n{third}\n")
    assert torch.equal(space.index(read_architectures(space, path)), space.index(cells))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected an architecture a line, got none"),
        (b"# none\n\n", "expected an architecture a line, got none"),
        (b"\xff\xfe\x00", "expected a text file of architectures, got other bytes"),
        (f"{NONE}\n\n|nix~0|\n".encode(), "list.txt, line 3: architecture: expected"),
    ],
)
def test_broken_lists(tmp_path, content, message):
    path = tmp_path / "list.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_architectures(zcfast.space("nasbench201"), path)
    with pytest.raises(ValueError, match="got none: No such file"):
        read_architectures(zcfast.space("nasbench201"), tmp_path / "none.txt")


def test_a_line_that_is_no_cell_of_the_space(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("conv3x3:0|output:1\nconv3x3:|output:1\n")
    with pytest.raises(ValueError, match=r"list\.txt, line 2: no NAS-Bench-101 cell: "):
        read_architectures(zcfast.space("nasbench101"), path)
