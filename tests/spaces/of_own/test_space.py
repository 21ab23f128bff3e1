import json

import pytest
import torch
from torch import nn

import zcfast
from tests.spaces.of_own import builders
from zcfast.spaces.capabilities import Decisions, Enumerated, NeighbourGraph, Neighbourhood
from zcfast.spaces.cells import Texts
from zcfast.testing import check_space

EXAMPLE = (torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 3]))


@pytest.fixture(scope="module")
def space():
    return zcfast.Space(builders.cnn, EXAMPLE)


def test_contract(space):
    check_space(space)
    check_space(zcfast.Space(builders.perceptron, (torch.randn(4, 3, 2, 2), torch.tensor([0, 1, 2, 0]))))


def test_samples_are_texts_that_are_read_back(space):
    cells = space.sample(20, torch.Generator().manual_seed(0))
    assert cells == space.sample(20, torch.Generator().manual_seed(0))
    texts = space.format(cells)
    assert space.parse(texts) == cells
    assert space.parse(json.loads(texts[0])) == cells[0]
    assert space.is_valid(cells).all()
    assert len(set(texts)) > 10
    assert len(space.sample(0)) == 0


def test_a_text_in_other_words_is_the_same_architecture(space):
    assert space.parse('{"kernel0":3,"depth":1,"width":8}').texts == ('{"depth": 1, "kernel0": 3, "width": 8}',)
    other = Texts(('{"kernel0":3,"depth":1,"width":8}',))
    assert space.reasons(other) == ['expected the text {"depth": 1, "kernel0": 3, "width": 8}']


def test_weights_depend_on_the_generators_seed_and_the_text(space):
    first, second = space.enumerate()[5], space.enumerate()[100]
    module = space.build(first, generator=torch.Generator().manual_seed(5))
    state = module.state_dict()
    torch.manual_seed(77)
    again = space.build(first, generator=torch.Generator().manual_seed(5)).state_dict()
    assert all(torch.equal(state[name], again[name]) for name in state)
    scores = zcfast.score_architectures(space, ["snip", "synflow"], space.parse([*first.texts, *second.texts]), None)
    alone = zcfast.score_architectures(space, ["snip", "synflow"], second, None)
    assert torch.equal(scores["snip"][1:], alone["snip"])


def test_a_change_is_one_choice_and_what_it_brings(space):
    generator = torch.Generator().manual_seed(0)
    cells = space.sample(50, generator)
    others = space.mutate(cells, generator)
    assert space.is_valid(others).all()
    for before, after in zip(cells.texts, others.texts, strict=True):
        old, new = json.loads(before), json.loads(after)
        differing = {name for name in {*old, *new} if old.get(name) != new.get(name)}
        if "depth" in differing:
            assert differing - {"depth"} == old.keys() ^ new.keys()
        else:
            assert len(differing) == 1


def test_decisions_go_back_and_forth(space):
    decisions = space.capability(Decisions)
    assert decisions.sizes == (4, 3, 3, 3, 3)
    cells = space.sample(30, torch.Generator().manual_seed(2))
    choices = decisions.decode(cells)
    assert choices.shape == (30, 5)
    assert (choices < torch.tensor(decisions.sizes)).all()
    assert decisions.encode(choices.clamp(min=0)) == cells


def test_a_small_space_is_enumerated(space):
    listed = space.capability(Enumerated)
    cells = listed.enumerate()
    assert len(listed) == len(cells) == len(set(cells.texts)) == 4 * (3 + 9 + 27)
    assert listed.index(cells).tolist() == list(range(len(cells)))
    assert cells.texts[0] == '{"depth": 1, "kernel0": 1, "width": 8}'


def test_neighbours_differ_in_one_choice_and_what_it_brings(space):
    graph = space.capability(NeighbourGraph).neighbour_graph()
    texts = space.enumerate().texts
    for place in (0, 3, 60, len(space) - 1):
        found = {texts[i] for i in graph[place].tolist()}
        own = json.loads(texts[place])
        expected = set()
        for other in texts:
            values = json.loads(other)
            if sum(own[name] != values[name] for name in own.keys() & values.keys()) == 1:
                expected.add(other)
        assert found == expected
        drawn = {space.mutate(space.enumerate()[place], torch.Generator().manual_seed(i)).texts[0] for i in range(80)}
        assert drawn <= found


def test_a_space_without_finite_choices_says_what_it_lacks():
    space = zcfast.Space(lambda trial: nn.Linear(3, 2, bias=trial.suggest_float("x", 0, 1) > 0.5), EXAMPLE)
    assert space.offers(Neighbourhood) is space
    for kind in (Decisions, Enumerated):
        with pytest.raises(
            ValueError, match=r"choice 'x': expected a step, so that its options can be counted, got none"
        ):
            space.capability(kind)
    assert space
    with pytest.raises(TypeError, match=r"choice 'x': expected a step, so that its options can be counted, got none"):
        len(space)
    for name in ("enumerate", "index", "decode", "neighbour_graph"):
        with pytest.raises(AttributeError, match=r"expected a space with a list of .* choice 'x': expected a step"):
            getattr(space, name)


def test_what_a_space_lacks_or_has_elsewhere_is_said(space):
    large = zcfast.Space(lambda trial: nn.Linear(trial.suggest_int("x", 1, 20_000), 2), EXAMPLE, name="large")
    with pytest.raises(TypeError, match=r"large: expected a space with a list of all its architectures .*draw some by"):
        len(large)
    with pytest.raises(AttributeError, match=r"expected space\.capability\(zcfast\.spaces\.Sizes\)\.flops, got"):
        _ = space.flops
    with pytest.raises(AttributeError, match=r"expected a space with closed forms"):
        _ = space.forms
    with pytest.raises(AttributeError, match=r"'ListedSpace' object has no attribute 'colour'"):
        _ = space.colour
    assert not hasattr(large, "enumerate")


def test_networks_that_cannot_be_built_have_a_reason_and_the_others_go_on():
    def build(trial):
        return nn.Sequential(nn.Flatten(), nn.Linear(192, 12 // trial.suggest_int("n", 0, 3)))

    space = zcfast.Space(build, EXAMPLE)
    scores = zcfast.score_architectures(space, ["snip"], space.enumerate(), None)
    assert scores["snip"].isnan().tolist() == [True, False, False, False]
    assert "build raised ZeroDivisionError" in scores.reasons["snip"][0]


def test_more_architectures_than_there_are(space):
    few = zcfast.Space(lambda trial: nn.Linear(192, trial.suggest_int("n", 1, 24)), EXAMPLE)
    with pytest.raises(ValueError, match=r"n: expected at most 24 architectures, the size of .*, got 200"):
        few.sample_distinct(200)
    assert len(set(few.sample_distinct(24).texts)) == 24


@pytest.mark.parametrize("wrong", [5, None, 0.5])
def test_what_is_no_text_nor_choices(space, wrong):
    with pytest.raises(ValueError, match="architecture: expected choices by name, their JSON or a list of these, got"):
        space.build(wrong)


def test_texts_in_place_of_architectures(space):
    with pytest.raises(ValueError, match=r"got list; space\.parse makes them of texts"):
        zcfast.score_architectures(space, ["params"], [space.sample(1).texts[0]], None)


def test_a_function_in_place_of_a_space():
    with pytest.raises(
        TypeError, match=r"space: expected a space or its name, .*; zcfast.Space\(build, example\) is one"
    ):
        zcfast.design(lambda trial: None)


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        ("{", "architecture: expected choices as JSON, got '{'"),
        ("[1]", "architecture: expected choices by name, got [1]"),
        ('{"width": 8}', "choice 'depth': expected an integer from 1 to 3, got none"),
        ('{"depth": 1, "kernel0": 2, "width": 8}', "choice 'kernel0': expected one of 1, 3, 5, got 2"),
    ],
)
def test_a_text_that_is_no_architecture_is_named(space, architecture, message):
    with pytest.raises(ValueError, match=r"architecture|choice") as error:
        space.parse(architecture)
    assert message in str(error.value)
    assert message in space.reasons(Texts((architecture,)))[0]


@pytest.mark.parametrize(
    ("example", "message"),
    [(torch.ones(3), "example: expected (inputs, targets), got Tensor"), ((1, 2, 3), "expected (inputs, targets)")],
)
def test_an_example_that_is_none_is_named(example, message):
    with pytest.raises(TypeError, match="example") as error:
        zcfast.Space(builders.cnn, example)
    assert message in str(error.value)


def test_texts_of_choices_that_depend_on_nothing_are_read_without_building():
    calls = []

    def build(trial):
        calls.append(1)
        return nn.Linear(trial.suggest_int("width", 1, 9), trial.suggest_categorical("out", [1, 2, True]))

    space = zcfast.Space(build, example=(torch.zeros(2, 3), torch.zeros(2, dtype=torch.int64)))
    cells = space.sample(20, torch.Generator().manual_seed(0))
    calls.clear()
    assert space.parse(space.format(cells)) == cells
    assert space.is_valid(cells).all()
    assert not calls
    for wrong in (
        '{"out": 1, "width": 10}',
        '{"out": 1.0, "width": 3}',
        '{"width": 3, "out": 1}',
        '{"out": 1}',
        "[1]",
        "{",
    ):
        assert not space.is_valid(zcfast.spaces.Texts((wrong,))).any(), wrong
    assert space.format(space.parse('{"width": 3, "out": true}')) == ['{"out": true, "width": 3}']


def test_without_a_generator_draws_follow_torchs_own(space):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        drawn = space.sample(20)
        others = space.mutate(drawn[[0] * 20])
        assert len(set(drawn.texts)) > 10
        assert len(set(others.texts)) > 3
        torch.manual_seed(0)
        assert space.sample(20) == drawn
        assert space.sample(20) != drawn
