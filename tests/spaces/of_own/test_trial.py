import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import zcfast
from zcfast.spaces.own.choices import Categorical, ChoiceError, Number
from zcfast.spaces.own.trial import drawn, fixed


def ask(trial):
    return {
        "a": trial.suggest_int("a", 1, 10, step=4),
        "b": trial.suggest_float("b", 0, 1, step=0.3),
        "c": trial.suggest_int("c", 1, 4, log=True),
        "d": trial.suggest_float("d", 0.1, 0.7, step=0.1),
        "e": trial.suggest_categorical("e", (None, True, 1, 1.0, "1", (3, 3))),
        "f": trial.suggest_float("f", 1e-4, 1, log=True),
    }


@pytest.mark.parametrize("name", ["number", "set_user_attr", "suggest_uniform"])
def test_what_else_a_trial_of_a_study_has_is_one_clear_error(name):
    expected = f"trial.{name}: expected suggest_categorical, suggest_int or suggest_float"
    with pytest.raises(AttributeError, match=expected):
        getattr(drawn(None), name)
    assert not hasattr(drawn(None), "report")
    with pytest.raises(ValueError, match=f"build raised AttributeError: {expected}"):
        zcfast.Space(lambda trial: getattr(trial, name), (torch.zeros(2, 3), torch.zeros(2)))


def test_the_values_are_those_of_optuna():
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    theirs, ours, generator = [], [], torch.Generator().manual_seed(0)
    for _ in range(200):
        with pytest.warns(UserWarning, match="of type tuple"):
            theirs.append(ask(study.ask()))
        ours.append(ask(drawn(generator)))
    for name in "abcde":
        assert {repr(each[name]) for each in ours} == {repr(each[name]) for each in theirs}
    logarithms = [[math.log(each["f"]) for each in found] for found in (theirs, ours)]
    assert all(math.log(1e-4) <= value <= 0 for value in logarithms[1])
    assert sum(logarithms[1]) / 200 == pytest.approx(sum(logarithms[0]) / 200, abs=0.8)


def test_a_whole_logarithmic_range_is_drawn_in_equal_ratios():
    generator = torch.Generator().manual_seed(0)
    choice = Number.integer("width", 1, 3, 1, log=True)
    values = [choice.draw(generator) for _ in range(3000)]
    for value in (1, 2, 3):
        share = math.log((value + 0.5) / (value - 0.5)) / math.log(3.5 / 0.5)
        assert values.count(value) / 3000 == pytest.approx(share, abs=0.03)


@given(st.integers(-50, 50), st.integers(0, 60), st.integers(1, 9))
def test_every_place_of_a_range_is_found_again(low, length, step):
    choice = Number.integer("n", low, low + length, step, log=False)
    options = [choice.option(place) for place in range(choice.size)]
    assert options == list(range(low, low + length + 1, step))
    assert [choice.index(option) for option in options] == list(range(choice.size))
    assert choice.index(options[-1] + step) is None


@given(st.integers(-20, 20), st.integers(0, 30), st.sampled_from([0.1, 0.05, 0.3, 1 / 3]))
def test_every_place_of_decimal_steps_is_found_again(first, count, step):
    choice = Number("x", first * step, (first + count) * step, step, log=False, whole=False)
    assert choice.size == count + 1
    assert [choice.index(choice.option(place)) for place in range(choice.size)] == list(range(choice.size))


def test_answers_that_were_given_come_back_as_the_builder_wrote_them():
    first = drawn(torch.Generator().manual_seed(4))
    values = ask(first)
    assert ask(fixed(first.params)) == values
    assert fixed({"kernel": [3, 3]}).suggest_categorical("kernel", [(3, 3), (5, 5)]) == (3, 3)
    again = fixed({"e": True})
    assert again.suggest_categorical("e", [1, True]) is True
    assert again.suggest_categorical("e", [1, True]) is True


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda t: t.suggest_categorical("k", []), "choice 'k': expected at least one option, got none"),
        (lambda t: t.suggest_categorical("k", [1, 2, 1]), "choice 'k': expected different options, got 1 twice"),
        (lambda t: t.suggest_categorical("k", [len]), "name it by a string"),
        (lambda t: t.suggest_categorical("k", [math.nan]), "name it by a string"),
        (lambda t: t.suggest_int("k", 3, 1), "choice 'k': expected finite low <= high, got 3 and 1"),
        (lambda t: t.suggest_int("k", 1, 3, step=0), "choice 'k': expected a step > 0, got 0"),
        (lambda t: t.suggest_int("k", 0, 3, log=True), "choice 'k': expected low > 0 with log=True, got 0"),
        (lambda t: t.suggest_int("k", 1, 9, step=2, log=True), "choice 'k': expected no step with log=True, got 2"),
        (lambda t: t.suggest_int("k", 1.5, 3), "choice 'k': expected an integer, got 1.5"),
        (lambda t: t.suggest_float("k", 0, math.inf), "choice 'k': expected finite low <= high, got 0.0 and inf"),
        (lambda t: t.suggest_int(3, 0, 1), "choice: expected a name, got 3"),
        (lambda t: (t.suggest_int("k", 0, 1), t.suggest_int("k", 0, 2)), "choice 'k': asked for twice, as an integer"),
    ],
)
def test_a_wrong_question_is_named(ask, message):
    with pytest.raises(ValueError, match="choice") as error:
        ask(drawn(None))
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("choice", "value"),
    [
        (Number.integer("k", 1, 9, 2, log=False), 2),
        (Number.integer("k", 1, 9, 2, log=False), True),
        (Number.integer("k", 1, 9, 2, log=False), 1.0),
        (Number("k", 0.0, 1.0, None, log=False, whole=False), 1.5),
        (Number("k", 0.0, 1.0, 0.5, log=False, whole=False), math.nan),
        (Categorical("k", (1, "a")), "1"),
        (Categorical("k", (True, "a")), 1),
    ],
)
def test_an_answer_that_is_no_option_is_named(choice, value):
    assert choice.index(value) is None
    with pytest.raises(ChoiceError, match=r"choice 'k': expected (one of|an integer|a number).*, got"):
        fixed({"k": value})._value(choice)
