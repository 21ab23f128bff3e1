import math
import random

import pytest
import torch
from torch import nn

import zcfast
from tests.spaces.of_own import builders
from tests.spaces.of_own.test_space import EXAMPLE
from zcfast.spaces.own.builder import Builder, text
from zcfast.spaces.own.digits import Digits


def numbered(digits, number):
    """The architecture of a number from 0 to the product of the sizes - 1."""
    places = []
    for size in digits.sizes:
        number, place = divmod(number, size)
        places.append(place)
    return digits.decode(places)


def test_all_choices_are_found_and_numbers_go_back_and_forth():
    builder = Builder(builders.cnn)
    digits = Digits(builder)
    assert [choice.name for choice in digits.choices] == ["width", "depth", "kernel0", "kernel1", "kernel2"]
    assert digits.sizes == (4, 3, 3, 3, 3)
    found = {digits.number(numbered(digits, number)): numbered(digits, number).params for number in range(4 * 3 * 27)}
    assert len(found) == 4 * (3 + 9 + 27)  # a depth of 1, 2 or 3 kernels
    assert {str(params) for params in found.values()} == {
        str(numbered(digits, number).params) for number in range(4 * 3 * 27)
    }


def forks(trial):
    """Choices of which some bring others, one with options that depend on another."""
    if trial.suggest_categorical("kind", ["wide", "deep"]) == "wide":
        return nn.Linear(1, trial.suggest_int("width", 1, trial.suggest_categorical("most", [2, 3])))
    kinds = [trial.suggest_categorical(f"kind{i}", ["relu", "tanh", None]) for i in range(trial.suggest_int("n", 1, 2))]
    if "tanh" in kinds and trial.suggest_int("bad", 0, 1):
        raise ValueError("no such network")
    return nn.Sequential(*map(nn.Linear, [1] * len(kinds), [1] * len(kinds)))


@pytest.mark.parametrize("build", [builders.cnn, builders.perceptron, forks])
def test_each_architecture_is_asked_for_once_and_listed_by_its_number(build):
    space = zcfast.Space(build, EXAMPLE)
    digits, asked = Digits(Builder(build)), []
    product = [numbered(digits, number).params for number in range(math.prod(digits.sizes))]
    expected = dict.fromkeys(map(text, product))
    space._builder.build = lambda trial: asked.append(trial) or build(trial)
    assert space.enumerate().texts == tuple(expected)
    assert len(asked) == len(expected)


def test_a_missing_choice_is_minus_one_and_its_digit_is_ignored():
    digits = Digits(Builder(builders.cnn))
    trial = digits.decode([1, 0, 2, 2, 2])
    assert trial.params == {"width": 16, "depth": 1, "kernel0": 5}
    assert digits.encode([trial]).tolist() == [[1, 0, 2, -1, -1]]
    assert digits.encode([]).shape == (0, 5)


def test_a_choice_that_shows_itself_late_goes_behind():
    def build(trial):
        bits = [trial.suggest_categorical(f"bit{i}", [0, 1]) for i in range(20)]
        width = trial.suggest_int("width", 1, 4) if all(bits) else 1
        return nn.Linear(1, width)

    builder = Builder(build)
    digits = Digits(builder)
    assert len(digits.sizes) == 20
    zeros = digits.decode([0] * 20)
    rare = digits.decode([1] * 20)
    assert rare.params["width"] == 1
    assert digits.sizes == (*[2] * 20, 4)
    wide = digits.decode([1] * 20 + [3])
    assert [digits.number(each) for each in (zeros, rare, wide)] == [0, 2**20 - 1, 2**20 - 1 + 3 * 2**20]


def test_options_that_depend_on_another_choice_are_a_choice_of_their_own():
    def build(trial):
        first = trial.suggest_int("first", 1, 3)
        return nn.Linear(first, trial.suggest_int("second", 1, first))

    digits = Digits(Builder(build))
    assert sorted(digits.sizes) == [1, 2, 3, 3]
    texts = {str(numbered(digits, number).params) for number in range(18)}
    assert len(texts) == 6


def test_choices_that_cannot_be_counted_are_named():
    with pytest.raises(ValueError, match="choice 'rate': expected a step, so that its options can be counted"):
        Digits(Builder(lambda trial: nn.Dropout(trial.suggest_float("rate", 0, 1))))
    with pytest.raises(ValueError, match=r"expected at most 2\^62 architectures, got more: 63 choices"):
        Digits(Builder(lambda trial: nn.Linear(1, 1 + sum(trial.suggest_int(f"{i}", 0, 1) for i in range(70)))))


def test_the_order_of_choices_depends_on_nothing_but_the_builder():
    def build(trial):
        names = [f"k{i}" for i in range(30)]
        return nn.Linear(1, sum(trial.suggest_int(name, 1, 1 + len(name)) for name in names))

    random.seed(1)
    first = Digits(Builder(build)).choices
    torch.manual_seed(9)
    assert Digits(Builder(build)).choices == first
