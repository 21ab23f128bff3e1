import pytest
import torch
from torch import nn

import zcfast
from zcfast.spaces import Enumerated, of
from zcfast.testing import check_space

EXAMPLE = (torch.randn(4, 5, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 0]))


def wide(width=16):
    return nn.Sequential(nn.Linear(5, width), nn.ReLU(), nn.Linear(width, 3))


def test_contract():
    check_space(of({"small": lambda: wide(4), "wide": wide}, example=EXAMPLE))


def test_functions_draw_from_the_seed_and_modules_are_scored_as_they_are():
    module = wide(4)
    space = of({"made": wide, "given": module}, example=EXAMPLE)
    assert len(space.capability(Enumerated)) == 2
    first, other = (zcfast.score_architectures(space, ["snip"], space.enumerate(), None, seed=seed) for seed in (0, 1))
    assert first["snip"][0] != other["snip"][0]
    assert first["snip"][1] == other["snip"][1] == zcfast.score(module, EXAMPLE, ["snip"])["snip"].value
    again = zcfast.score_architectures(space, ["snip"], space.parse(["given", "made"]), None, seed=0)
    assert again["snip"].tolist() == first["snip"].flip(0).tolist()


def test_lists_and_names():
    assert of([wide, wide(4)], example=EXAMPLE).enumerate().texts == ("0", "1")
    space = of(["4", "8"], make=lambda name: wide(int(name)), example=EXAMPLE)
    scores = zcfast.score_architectures(space, ["params"], space.enumerate(), None)
    assert scores["params"].tolist() == [39, 75]


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        ({}, "modules: expected at least one, got none"),
        ([], "modules: expected at least one, got none"),
        (wide(), "modules: expected several, as a list or by name, got Sequential"),
        ("resnet18", "modules: expected several, as a list or by name, got str"),
        (["a"], "modules: expected make, a function from a name to its network"),
        ({"a": 3}, "modules: expected an nn.Module or a function that makes one for 'a', got 3"),
        ({3: wide}, "modules: name: expected str, got int"),
    ],
)
def test_what_is_no_space_is_named(modules, message):
    with pytest.raises((TypeError, ValueError), match=r"modules") as error:
        of(modules, example=EXAMPLE)
    assert message in str(error.value)


def test_a_network_that_cannot_be_made_has_a_reason():
    space = of({"bad": lambda: 1 / 0, "none": lambda: None, "good": wide}, example=EXAMPLE)
    scores = zcfast.score_architectures(space, ["snip"], space.enumerate(), None)
    assert "ZeroDivisionError" in scores.reasons["snip"][0]
    assert "expected an nn.Module" in scores.reasons["snip"][1]
    assert not scores["snip"][2].isnan()
    with pytest.raises(ValueError, match=r"unknown architecture 'goood': did you mean good\?"):
        space.parse("goood")
