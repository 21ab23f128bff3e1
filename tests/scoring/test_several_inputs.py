"""Spaces of nets of several inputs: scored, counted, saved, in any number of processes."""

import pytest
import torch
from torch import nn

import zcfast
from tests.spaces.of_own.builders import TwoInputs, pictures_and_numbers, two_inputs
from zcfast.scores import Scores
from zcfast.spaces import Example, Sizes

PROXIES = ["snip", "grad_norm", "synflow", "jacob_cov", "naswot", "params", "flops"]
PICTURES, MEASURED, TARGETS = pictures_and_numbers()


@pytest.mark.parametrize("form", ["tuple", "dict"])
def test_scores_are_those_of_score(form, tmp_path):
    given = {"tuple": (PICTURES, MEASURED), "dict": {"measured": MEASURED, "pictures": PICTURES}}[form]
    space = zcfast.Space(two_inputs, example=(given, TARGETS))
    cells = space.parse([{"width": 4}, {"width": 8}])
    found = zcfast.score_architectures(space, PROXIES, cells)
    assert not found.reasons
    assert found["params"].tolist() == [sum(p.numel() for p in TwoInputs(width).parameters()) for width in (4, 8)]
    sizes = space.capability(Sizes)
    assert sizes.params(cells).tolist() == found["params"].tolist()
    assert sizes.flops(cells).tolist() == found["flops"].tolist() == [w * 27 * 64 + 5 * w + 2 * w * 3 for w in (4, 8)]
    shape = found.provenance.options["images"]["shape"]
    assert shape == ([[3, 8, 8], [5]] if form == "tuple" else {"measured": [5], "pictures": [3, 8, 8]})
    found.save(tmp_path / "s.parquet")
    again = Scores.load(tmp_path / "s.parquet", space)
    assert again.provenance == found.provenance


def test_forms_are_one_score():
    """And half precision is widened, as of one tensor."""
    spaces = [
        zcfast.Space(two_inputs, example=(inputs, TARGETS))
        for inputs in ((PICTURES, MEASURED), [PICTURES, MEASURED], {"pictures": PICTURES, "measured": MEASURED})
    ]
    found = [zcfast.score_architectures(space, PROXIES, space.parse({"width": 4})) for space in spaces]
    for name in PROXIES:
        assert len({each[name].item() for each in found}) == 1
    halves = (PICTURES.half(), MEASURED.half())
    given = zcfast.score_architectures(spaces[0], ["snip"], spaces[0].parse({"width": 4}), (halves, TARGETS))
    assert given["snip"].item() == pytest.approx(found[0]["snip"].item(), rel=1e-2)


def test_given_modules():
    inputs = {"pictures": PICTURES, "measured": MEASURED}
    space = zcfast.spaces.of({"a": lambda: TwoInputs(4), "b": TwoInputs(8)}, example=(inputs, TARGETS))
    found = zcfast.score_architectures(space, PROXIES, space.enumerate())
    assert not found.reasons
    assert space.capability(Sizes).flops(space.enumerate()).tolist() == found["flops"].tolist()


@pytest.mark.slow
def test_worker_processes_score_the_same(tmp_path):
    space = zcfast.space("tests.spaces.of_own.builders:two_inputs_space")
    cells = space.parse([{"width": 4}, {"width": 8}])
    here = zcfast.score_architectures(space, PROXIES, cells, workers=1)
    there = zcfast.score_architectures(space, PROXIES, cells, workers=2, parts=tmp_path / "parts")
    assert [there[name].tolist() for name in PROXIES] == [here[name].tolist() for name in PROXIES]


def test_another_minibatch_is_another_protocol():
    space = zcfast.Space(two_inputs, example=((PICTURES, MEASURED), TARGETS))
    cell = space.parse({"width": 4})
    sums = {
        zcfast.score_architectures(space, ["snip"], cell, given).provenance.options["images"]["sha256"]
        for given in (None, ((PICTURES, MEASURED + 1), TARGETS), ((PICTURES + 1, MEASURED), TARGETS))
    }
    assert len(sums) == 3


def test_brain_floats_have_a_checksum():
    space = zcfast.Space(two_inputs, example=((PICTURES, MEASURED), TARGETS))
    given = (PICTURES.bfloat16(), MEASURED), TARGETS
    assert not zcfast.score_architectures(space, ["snip"], space.parse({"width": 4}), given).reasons


WRONG = [
    (((), TARGETS), ValueError, "example: inputs: expected at least one tensor, got none"),
    (
        ((PICTURES, MEASURED[:2]), TARGETS),
        ValueError,
        r"example: inputs\[1\]: expected 4 samples, as example: inputs\[0\]",
    ),
    (
        (None, TARGETS),
        TypeError,
        "example: inputs: expected a tensor, a tuple of tensors or a dict of them, got NoneType",
    ),
    ((("a", "b"), TARGETS), TypeError, r"example: inputs\[0\]: expected a tensor, got str"),
]


@pytest.mark.parametrize(("example", "error", "message"), WRONG, ids=[each[2] for each in WRONG])
def test_wrong_examples(example, error, message):
    with pytest.raises(error, match=message):
        zcfast.Space(two_inputs, example=example)
    with pytest.raises(error, match=message):
        zcfast.spaces.of([nn.Linear(1, 1)], example=example)
    with pytest.raises(error, match=message):
        Example(*example)


WRONG_IMAGES = [
    (((PICTURES, MEASURED), TARGETS[:2]), "images: expected as many targets as inputs, got 2 for 4"),
    (((PICTURES, None), TARGETS), r"images\[1\]: expected a tensor, got NoneType"),
    (({"pictures": PICTURES, "measured": MEASURED[:3]}, TARGETS), r"images\['measured'\]: expected 4 samples"),
    (((PICTURES, MEASURED.log()), TARGETS), "images: expected finite numbers"),
    (
        (PICTURES, MEASURED, TARGETS),
        r"images: expected an ImageBatch or tensors \(inputs, targets\), got Tensor, Tensor, T",
    ),
    (
        ((PICTURES, MEASURED), None),
        r"images: expected an ImageBatch or tensors \(inputs, targets\), got tuple, NoneType",
    ),
]


@pytest.mark.parametrize(("images", "message"), WRONG_IMAGES, ids=[each[1] for each in WRONG_IMAGES])
def test_wrong_minibatches(images, message):
    space = zcfast.Space(two_inputs, example=((PICTURES, MEASURED), TARGETS))
    with pytest.raises(ValueError, match=message):
        zcfast.score_architectures(space, ["snip"], space.parse({"width": 4}), images)


def test_cells_take_images_alone():
    space = zcfast.space("nasbench201")
    with pytest.raises(ValueError, match="images: expected one tensor of images, got a tuple"):
        zcfast.score_architectures(space, ["snip"], space.enumerate()[:1], ((PICTURES, MEASURED), TARGETS))


def test_a_net_that_takes_no_such_input_has_a_reason():
    space = zcfast.Space(two_inputs, example=({"pictures": PICTURES, "mesured": MEASURED}, TARGETS))
    found = zcfast.score_architectures(space, ["snip"], space.parse({"width": 4}))
    assert "unexpected keyword argument 'mesured'" in found.reasons["snip"][0]
    with pytest.raises(ValueError, match=r"no sizes of .*unexpected keyword argument 'mesured'"):
        space.capability(Sizes).flops(space.parse({"width": 4}))


def test_contract_suite():
    from zcfast.testing import check_space

    check_space(zcfast.Space(two_inputs, example=({"pictures": PICTURES, "measured": MEASURED}, torch.arange(4) % 3)))
