import numpy as np
import pytest
import torch

from tests.shared import CELL_SPACES
from zcfast.spaces import names, space


def test_names_and_unknown_names():
    assert names() == ["nasbench101", "nasbench201", "nasbench_bert"]
    assert space("nasbench101") is space("nasbench101")
    with pytest.raises(
        ValueError,
        match=r"unknown search space 'nasbench11': did you mean nasbench101.*; one of your own is mymodule:space",
    ):
        space("nasbench11")


@pytest.mark.parametrize("name", CELL_SPACES)
def test_cells_index_like_tensors(name):
    cells = space(name).enumerate()
    assert len(cells[3]) == len(cells[-1]) == 1
    assert len(cells[2:5]) == 3
    assert len(cells[torch.tensor([1, 1])]) == 2
    assert space(name).index(cells[-1]).item() == len(cells) - 1
    assert cells.to("cpu").device.type == "cpu"
    for index in (torch.tensor(7), np.int64(7), torch.tensor(-len(cells) + 7)):
        assert space(name).index(cells[index]).tolist() == [7]
    rows, mask = np.array([5, 3], dtype=np.uint8), np.zeros(len(cells), dtype=bool)
    mask[[3, 5]] = True
    for index in (rows, rows[::-1][::-1], (5, 3), range(5, 2, -2), [5, 3]):
        assert space(name).index(cells[index]).tolist() == [5, 3]
    assert space(name).index(cells[mask]).tolist() == [3, 5]
    assert len(cells[()]) == len(cells[np.zeros(0, dtype=int)]) == 0
    with pytest.raises(IndexError):
        cells[len(cells)]


@pytest.mark.parametrize("name", CELL_SPACES)
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stem_chanels": 16}, "unknown option 'stem_chanels': did you mean stem_channels"),
        ({"modules": 0}, "modules: expected an integer from 1 to 100, got 0"),
        ({"modules": 1.5}, "modules: expected an integer from 1 to 100, got 1.5"),
        ({"modules": True}, "modules: expected an integer from 1 to 100, got True"),
        ({"stem_channels": 2**30}, "stem_channels: expected an integer from 1 to 2048, got 1073741824"),
        ({"resolution": 2**17}, "resolution: expected an integer from 1 to 1024, got 131072"),
        ({"resolution": 30}, "resolution: expected a multiple of"),
    ],
)
def test_network_options_are_honoured_or_refused(name, options, message):
    with pytest.raises(ValueError, match=message):
        space(name).params(space(name).enumerate()[:1], **options)


@pytest.mark.parametrize("name", CELL_SPACES)
def test_wrong_arguments_are_named(name):
    each, other = space(name), next(space(other) for other in CELL_SPACES if other != name)
    kind, text = each.cells.__name__, each.format(each.enumerate()[:1])[0]
    for call in (each.params, each.flops, each.mutate, each.neighbours, each.index, each.keys):
        with pytest.raises(ValueError, match=f"cells: expected {kind}, got str"):
            call(text)
    with pytest.raises(ValueError, match=f"cells: expected {kind}, got {other.cells.__name__}"):
        each.index(other.enumerate()[:1])
    cells = each.enumerate()[:1]
    for call in (each.sample, each.sample_distinct):
        with pytest.raises(ValueError, match="generator: expected Generator, got int"):
            call(3, 0)
        with pytest.raises(ValueError, match=r"n: expected an integer, got 2\.5"):
            call(2.5)
    with pytest.raises(ValueError, match="generator: expected Generator, got int"):
        each.mutate(cells, 0)
    with pytest.raises(ValueError, match="generator: expected Generator, got int"):
        each.build(cells, generator=0)


@pytest.mark.parametrize("given", [101, None, ["nasbench201"]])
def test_what_is_no_name(given):
    with pytest.raises(
        ValueError, match=r"unknown search space .*: expected one of nasbench101, nasbench201, nasbench_bert"
    ):
        space(given)


@pytest.mark.parametrize("name", CELL_SPACES)
def test_cells_are_equal_where_their_rows_are(name):
    cells, other = space(name).enumerate(), next(space(other) for other in CELL_SPACES if other != name)
    assert cells[2:5] == cells[[2, 3, 4]]
    assert cells[2:5] != cells[[2, 4, 3]]
    assert cells[2:5] != cells[2:4]
    assert cells[:1] != other.enumerate()[:1]
    assert repr(space(name)) == f"zcfast.space({name!r})"
