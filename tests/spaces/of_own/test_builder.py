import random

import numpy as np
import pytest
import torch
from torch import nn

from tests.spaces.of_own import builders
from zcfast.nets.seeding import seeded
from zcfast.spaces.own.builder import Builder, text
from zcfast.spaces.own.trial import fixed
from zcfast.spaces.own.undrawn import Undrawn

VALUES = {"width": 16, "depth": 2, "kernel0": 3, "kernel1": 5}


def weights(builder, seed):
    with seeded(seed):
        return torch.cat([p.detach().flatten() for p in builder.network(VALUES).parameters()])


def test_weights_depend_on_the_generators_alone():
    builder = Builder(builders.cnn)
    first = weights(builder, 0)
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    assert torch.equal(weights(builder, 0), first)
    assert not torch.equal(weights(builder, 1), first)
    builder.follow(VALUES)
    builder.draw(torch.Generator())
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1:] == (random.getstate(), np.random.get_state()[1].tolist())


def test_an_outline_has_the_shapes_and_draws_nothing():
    builder = Builder(builders.cnn)
    real, outline = builder.network(VALUES), builder.ask(fixed(VALUES)).module
    assert [p.shape for p in outline.parameters()] == [p.shape for p in real.parameters()]
    state = torch.get_rng_state()
    with Undrawn():
        for make in (lambda: nn.LSTM(3, 4), lambda: nn.Embedding(5, 6), lambda: nn.MultiheadAttention(8, 2)):
            make()
        nn.init.xavier_normal_(torch.empty(3, 3))
        nn.init.trunc_normal_(torch.empty(3, 3))
    assert torch.equal(torch.get_rng_state(), state)


def test_the_text_is_canonical():
    assert text({"b": (1, 2), "a": None, "ä": 0.5}) == '{"a": null, "b": [1, 2], "ä": 0.5}'
    assert text(VALUES) == text(dict(reversed(VALUES.items())))


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (3, TypeError, "build: expected a function of a trial, got int"),
        (lambda trial: 3, ValueError, "build: expected to return an nn.Module, got int"),
        (lambda trial: nn.Linear, ValueError, "build: expected to return an nn.Module, got type"),
        (lambda trial: 1 / 0, ValueError, "build raised ZeroDivisionError: division by zero"),
        (
            lambda trial: nn.Linear(1, trial.suggest_int("n", 2, 2) // 0),
            ValueError,
            'build raised ZeroDivisionError for {"n": 2}: integer division or modulo by zero',
        ),
        (
            lambda trial: nn.Linear(1, random.randint(1, 10**6)),
            ValueError,
            "networks may depend on no chance but for their weights",
        ),
        (
            lambda trial: nn.Linear(1, sum(trial.suggest_int(str(n), 1, 2) for n in torch.randperm(20).tolist())),
            ValueError,
            "choices may depend on no chance",
        ),
    ],
)
def test_a_builder_that_cannot_be_is_named(build, error, message):
    with pytest.raises(error) as raised:
        Builder(build)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"width": 16}, "choice 'depth': expected an integer from 1 to 3, got none"),
        ({**VALUES, "kernel1": 4}, "choice 'kernel1': expected one of 1, 3, 5, got 4"),
        ({**VALUES, "depth": 1}, "choice 'kernel1': expected none, as build asks for width, depth, kernel0"),
    ],
)
def test_values_that_are_no_architecture_are_named(values, message):
    with pytest.raises(ValueError, match="choice") as raised:
        Builder(builders.cnn).follow(values)
    assert message in str(raised.value)
