import numpy as np
import pytest
import torch

from tests.shared import shared_data
from zcfast.spaces import space
from zcfast.spaces.nasbench201 import NasBench201Cells
from zcfast.spaces.nasbench201.network import DATASETS

SPACE = space("nasbench201")
FIRST = "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|"
TENTH = "|avg_pool_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|nor_conv_3x3~2|"


def test_official_order():
    cells = SPACE.enumerate()
    assert len(cells) == len(SPACE) == 15_625
    assert SPACE.format(cells[[0, 9]]) == [FIRST, TENTH]  # as the code that made the benchmark asserts
    assert torch.equal(SPACE.index(cells), torch.arange(len(cells)))
    assert len(cells.operations.unique(dim=0)) == len(cells)


def test_released_strings_and_parameters():
    released = np.load(shared_data("nasbench201/accuracies.npz"))
    cells = SPACE.enumerate()
    assert [text.encode() for text in SPACE.format(cells)] == released["arch"].tolist()
    classes = {}
    for index, text in enumerate(released["unique_str"].tolist()):
        classes.setdefault(text, index)
    assert SPACE.isomorphism_class(cells).tolist() == [classes[text] for text in released["unique_str"].tolist()]
    for column, options in zip(("cifar10", "cifar100", "imagenet16"), DATASETS.values(), strict=True):
        assert (SPACE.params(cells, **options).numpy() == released[f"params_{column}"]).all()


def test_isomorphism_classes():
    cells = SPACE.enumerate()
    first = SPACE.isomorphism_class(cells)
    assert len(first.unique()) == SPACE.classes == 6_466
    assert (first <= torch.arange(len(cells))).all()
    assert torch.equal(SPACE.isomorphism_class(SPACE.canonical(cells)), first)
    one = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|nor_conv_1x1~2|"
    other = "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|nor_conv_1x1~1|none~2|"
    assert SPACE.isomorphism_class(SPACE.parse(one)).item() != SPACE.isomorphism_class(SPACE.parse(FIRST)).item()
    assert SPACE.format(SPACE.parse([one, other])) == [one, other]


def test_parse_reads_what_format_writes():
    cells = SPACE.sample(200, torch.Generator().manual_seed(0))
    assert torch.equal(SPACE.parse(SPACE.format(cells)).operations, cells.operations)
    assert torch.equal(SPACE.keys(cells), SPACE.index(cells))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (FIRST.replace("skip_connect", "skip"), "expected operations .* got 'skip'"),
        (FIRST[:-1], r"expected '\|op~0\|\+"),
        ("", r"expected '\|op~0\|\+"),
        (FIRST.replace("~2", "~1"), r"expected '\|op~0\|\+"),
        (3, "architecture: expected a string, got int"),
    ],
)
def test_parse_names_what_is_wrong(text, message):
    with pytest.raises(ValueError, match=message):
        SPACE.parse(text)


def test_invalid_encodings_have_a_reason():
    cells = NasBench201Cells(torch.tensor([[0, 1, 2, 3, 4, 0], [0, 0, 0, 0, 0, 5], [-1, 0, 0, 0, 0, 0]]).to(torch.int8))
    assert SPACE.is_valid(cells).tolist() == [True, False, False]
    assert SPACE.reasons(cells)[0] == ""
    assert "operation codes 0 to 4" in SPACE.reasons(cells)[1]
    for call in (SPACE.canonical, SPACE.keys, SPACE.params, SPACE.flops, SPACE.format):
        with pytest.raises(ValueError, match="row 1 is no NAS-Bench-201 cell"):
            call(cells)
    with pytest.raises(ValueError, match=r"operations: expected shape \[N, 6\], got \[2, 5\]"):
        NasBench201Cells(torch.zeros(2, 5, dtype=torch.int8))
    with pytest.raises(ValueError, match=r"operations: expected a tensor of torch.int8, got torch.float32"):
        NasBench201Cells(torch.zeros(2, 6))


def test_flops_by_hand():
    cell = SPACE.parse("|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|none~0|none~1|skip_connect~2|")
    expected = 27 * 4 * 64
    for channels, pixels in ((4, 64), (8, 16), (16, 4)):
        expected += 2 * 10 * channels**2 * pixels
        if channels > 4:
            expected += (9 * channels * channels // 2 + 9 * channels**2 + channels * channels // 2) * pixels
    assert SPACE.flops(cell, stem_channels=4, modules=2, resolution=8, classes=7).item() == expected + 16 * 7


def test_empty_batches():
    empty = SPACE.enumerate()[:0]
    assert SPACE.index(empty).shape == SPACE.params(empty).shape == (0,)
    assert SPACE.format(empty) == []
    assert len(SPACE.canonical(empty)) == len(SPACE.parse([])) == 0
