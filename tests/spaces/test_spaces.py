import numpy as np
import pytest
import torch

from zcfast.spaces import names, space


def test_names_and_unknown_names():
    assert names() == ["nasbench101", "nasbench201"]
    assert space("nasbench101") is space("nasbench101")
    with pytest.raises(ValueError, match="unknown search space 'nasbench11': did you mean nasbench101"):
        space("nasbench11")


@pytest.mark.parametrize("name", names())
def test_cells_index_like_tensors(name):
    cells = space(name).enumerate()
    assert len(cells[3]) == len(cells[-1]) == 1
    assert len(cells[2:5]) == 3
    assert len(cells[torch.tensor([1, 1])]) == 2
    assert space(name).index(cells[-1]).item() == len(cells) - 1
    assert cells.to("cpu").device.type == "cpu"
    for index in (torch.tensor(7), np.int64(7), torch.tensor(-len(cells) + 7)):
        assert space(name).index(cells[index]).tolist() == [7]
    with pytest.raises(IndexError):
        cells[len(cells)]


@pytest.mark.parametrize("name", names())
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
