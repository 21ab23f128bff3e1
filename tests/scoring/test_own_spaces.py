import hashlib
import random

import pytest
import torch
from torch import nn

import zcfast
from tests.spaces.own import TwoLayers
from zcfast.proxies.sets import sets
from zcfast.scores import Scores
from zcfast.spaces import Example

PROXIES = ["snip", "grad_norm", "synflow", "jacob_cov", "params"]


def scores(space, texts, **options):
    return zcfast.score_architectures(space, PROXIES, space.parse(texts), **options)


def test_scores_depend_on_seed_and_text_alone():
    space = TwoLayers()
    first = scores(space, ["8 tanh", "4 relu", "16 relu"], seed=1)
    random.seed(5)
    torch.manual_seed(5)
    again = scores(space, ["16 relu", "8 tanh"], seed=1)
    for name in PROXIES:
        assert again[name].tolist() == first[name][[2, 0]].tolist()
    assert scores(space, ["8 tanh"], seed=2)["snip"] != first["snip"][0]
    assert first["params"].tolist() == [75, 39, 147]
    assert not first.reasons
    assert first.provenance.options["initialisation"] is None


def test_they_are_those_of_score():
    space = TwoLayers()
    found = scores(space, ["8 tanh"], layers=(nn.Linear,), loss_fn=nn.functional.cross_entropy)
    seed = int.from_bytes(hashlib.sha256(b"0:8 tanh").digest()[:8], "big")
    module = space.build("8 tanh", generator=torch.Generator().manual_seed(seed))
    expected = zcfast.score(module, (space.example.inputs, space.example.targets), ["snip"])
    assert found["snip"].item() == expected["snip"].value


def test_loss_logits_and_layers_reach_the_score():
    space = TwoLayers()
    plain = scores(space, ["8 tanh"])
    doubled = scores(
        space, ["8 tanh"], loss_fn=lambda logits, targets: 2 * nn.functional.cross_entropy(logits, targets)
    )
    assert doubled["snip"].item() == pytest.approx(2 * plain["snip"].item())
    other = scores(space, ["8 tanh"], logits=lambda output: output[:, :3] * 0)
    assert other["snip"].item() != plain["snip"].item()
    none = scores(space, ["8 tanh"], layers=(nn.Conv2d,))
    assert "expected at least one layer that counts" in none.reasons["snip"][0]


def test_any_minibatch():
    space = TwoLayers()
    given = scores(space, ["8 tanh"], images=(torch.randn(7, 5), torch.randint(3, (7,))))
    assert not given.reasons
    wrong = scores(space, ["8 tanh"], images=(torch.randn(7, 4), torch.randint(3, (7,))))
    assert wrong.reasons["snip"][0].startswith("failed: RuntimeError")
    with pytest.raises(ValueError, match=r"images: expected as many targets as inputs, got 3 for 7"):
        scores(space, ["8 tanh"], images=(torch.randn(7, 5), torch.randint(3, (3,))))


class Tokens(TwoLayers):
    name = "tokens"
    example = Example(torch.randint(9, (4, 6)), torch.tensor([0, 1, 2, 0]))

    def _network(self, cell):
        layers = super()._network(cell)
        return nn.Sequential(nn.Embedding(9, 5), layers, Mean())


class Mean(nn.Module):
    def forward(self, x):
        return x.mean(1)


def test_sequences_of_tokens():
    assert not zcfast.score_architectures(Tokens(), ["snip", "synflow"], Tokens().parse(["8 tanh"])).reasons


def test_initialisation_is_honoured_or_refused():
    space = TwoLayers()
    found = scores(space, ["8 tanh"], initialisation="kaiming_fan_in")
    assert found["snip"].item() != scores(space, ["8 tanh"])["snip"].item()
    assert found.provenance.options["initialisation"] == "kaiming_fan_in"
    refused = zcfast.score_architectures(Tokens(), ["snip"], Tokens().parse(["8 tanh"]), initialisation="pytorch")
    assert "initialisation: expected convolutions, linear layers and norms, got Embedding" in refused.reasons["snip"][0]
    with pytest.raises(ValueError, match="unknown option 'batch_norm'"):
        scores(space, ["8 tanh"], batch_norm=False)


@pytest.mark.slow
def test_worker_processes_build_the_same(tmp_path):
    space = zcfast.space("tests.spaces.own:TwoLayers")
    texts = ["8 tanh", "4 relu", "16 relu"]
    here, there = scores(space, texts, workers=1), scores(space, texts, workers=2, parts=tmp_path / "parts")
    assert [there[name].tolist() for name in PROXIES] == [here[name].tolist() for name in PROXIES]
    there.save(tmp_path / "s.parquet")
    assert Scores.load(tmp_path / "s.parquet")["snip"].tolist() == here["snip"].tolist()


def test_closed_forms_are_refused_by_name():
    with pytest.raises(ValueError, match=r"expected a space with closed forms .*score_architectures scores networks"):
        zcfast.score_space(TwoLayers(), ["params"], cells=TwoLayers().parse(["8 tanh"]))


@pytest.mark.parametrize("name", ["paper", "modern", "cheap", "all"])
def test_sets_of_proxies_stand_wherever_names_do(name):
    space = TwoLayers()
    cells = space.parse(["8 tanh"])
    members = list(sets()[name])
    found = zcfast.score_architectures(space, name, cells)
    assert list(found.columns) == members
    for member, column in found.columns.items():  # none is left out without a word
        assert bool(column.isnan()) == bool(found.reasons.get(member, [""])[0])
    module = space.build(cells, generator=torch.Generator().manual_seed(0))
    assert list(zcfast.score(module, (space.example.inputs, space.example.targets), name)) == members
    first = next(each for each in members if each not in ("params", "flops"))
    with pytest.raises(ValueError, match=f"proxies: expected closed forms of NAS-Bench-201 .* got {first}, which"):
        zcfast.score_space("nasbench201", ["path_rank", name], cells=zcfast.space("nasbench201").sample(2))


def test_proxies_without_layers_to_sum_leave_the_others_their_scores():
    none = zcfast.score_architectures(
        TwoLayers(), ["snip", "jacob_cov", "params"], TwoLayers().parse(["8 tanh"]), layers=(nn.Conv2d,)
    )
    assert "expected at least one layer that counts (Conv2d), got none" in none.reasons["snip"][0]
    assert list(none.reasons) == ["snip"]
    assert not (none["jacob_cov"].isnan() | none["params"].isnan()).any()
