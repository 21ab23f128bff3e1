"""A limit on work is one on all that runs."""

import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

import zcfast
from tests.designing import own_space

TOKENS = torch.randint(0, 20, (4, 12), generator=torch.Generator().manual_seed(0)), torch.arange(4)


def encoder(trial):
    width = trial.suggest_categorical("width", [8, 16, 24])
    heads = trial.suggest_categorical("heads", [1, 2])
    layers = [
        nn.TransformerEncoderLayer(width, heads, 2 * width, batch_first=True)
        for _ in range(trial.suggest_int("depth", 1, 2))
    ]
    return nn.Sequential(nn.Embedding(20, width), *layers, nn.Flatten(), nn.Linear(12 * width, 5))


def counted(net, inputs):
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        net.train()(inputs)
    return counter.get_total_flops() / 2 / len(inputs)


@pytest.mark.parametrize("name", ["flops", "multiply_adds"])
@pytest.mark.parametrize(("build", "example"), [(encoder, TOKENS), (own_space.small, own_space.EXAMPLE)])
def test_limits_are_those_of_torchs_counter(build, example, name):
    space = zcfast.Space(build, example)
    works = [counted(space.build(space.enumerate()[row]), example[0]) for row in range(len(space))]
    limit = sorted(works)[len(works) // 2]
    found = zcfast.design(space, by="params", limits={name: limit})
    assert sorted(found.rows.tolist()) == [row for row, work in enumerate(works) if work <= limit]
    assert found.scores[name].tolist() == [works[row] for row in found.rows.tolist()]
    drawn = zcfast.design(space, by="params", minimise=[name], sampler="random", evaluations=4)
    assert drawn.tried[name].tolist() == drawn.tried["flops"].tolist()


def test_benchmarks_have_the_name_too():
    found = zcfast.design("nasbench201", by="params", limits={"multiply_adds": 60e6})
    assert found.scores["multiply_adds"].equal(found.scores["flops"])
    assert found.protocol["limits"] == {"multiply_adds": 60e6}
    with pytest.raises(ValueError, match="unknown limit 'multiply_add': did you mean multiply_adds"):
        zcfast.design("nasbench201", limits={"multiply_add": 1})
