"""Several given networks as one table, and the forms in which a minibatch comes."""

import copy

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import zcfast


def net(width):
    torch.manual_seed(width)
    return nn.Sequential(
        nn.Conv2d(3, width, 3),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(width, 4),
    )


@pytest.fixture
def batch():
    return torch.randn(8, 3, 8, 8, generator=torch.Generator().manual_seed(0)), torch.arange(8) % 4


PROXIES = ["synflow", "snip", "naswot", "params"]


def test_each_network_has_the_scores_that_it_has_alone(batch):
    nets = {"small": net(4), "wide": net(16)}
    before = copy.deepcopy({name: each.state_dict() for name, each in nets.items()})
    scores = zcfast.score_modules(nets, batch, PROXIES)
    assert list(scores.cells.texts) == ["small", "wide"]
    for row, each in enumerate(nets.values()):
        alone = zcfast.score(each, batch, PROXIES)
        for name, score in alone.items():
            expected = score.value if score.log_value is None else score.log_value
            assert scores[name][row].item() == expected, name
    for name, each in nets.items():
        torch.testing.assert_close(each.state_dict(), before[name], rtol=0, atol=0)


def test_networks_without_names_and_functions_that_make_them(batch):
    scores = zcfast.score_modules([net(4), lambda: net(16)], batch, ["params"])
    assert scores["params"].tolist() == [sum(p.numel() for p in net(width).parameters()) for width in (4, 16)]
    assert list(scores.cells.texts) == ["0", "1"]


def test_a_network_that_cannot_be_scored_has_its_reason(batch):
    scores = zcfast.score_modules({"good": net(4), "bad": nn.Linear(7, 4)}, batch, ["snip"])
    assert scores["snip"].isnan().tolist() == [False, True]
    assert scores.reasons["snip"][1].startswith("failed: ")


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        ({}, "modules: expected at least one"),
        (net(4), "modules: expected several"),
        ({"a": 3}, "modules: expected an nn"),
    ],
)
def test_what_is_no_set_of_networks(batch, modules, message):
    with pytest.raises((TypeError, ValueError), match=message):
        zcfast.score_modules(modules, batch)


def test_the_first_minibatch_of_a_loader_is_taken_wherever_one_is(batch):
    loader = DataLoader(TensorDataset(*batch), batch_size=4)
    first = tuple(each[:4] for each in batch)
    expected = zcfast.score(net(4), first, ["snip"])["snip"].value
    assert zcfast.score(net(4), loader, ["snip"])["snip"].value == expected
    assert zcfast.score_modules({"a": net(4)}, loader, ["snip"])["snip"].item() == expected
    space = zcfast.space("nasbench201")
    cells, options = space.enumerate()[:1], {"stem_channels": 4, "modules": 1}
    pair, loaded = (zcfast.score_architectures(space, ["snip"], cells, each, **options) for each in (first, loader))
    assert pair["snip"].equal(loaded["snip"])


def test_a_loader_moves_no_generator(batch):
    loader, scored = DataLoader(TensorDataset(*batch), batch_size=4, shuffle=True), net(4)
    before = torch.get_rng_state()
    values = [zcfast.score(scored, loader, ["snip"])["snip"].value for _ in range(2)]
    assert torch.equal(torch.get_rng_state(), before)
    assert values[0] == values[1]


def test_an_empty_loader_is_no_minibatch(batch):
    empty = DataLoader(TensorDataset(*(each[:0] for each in batch)))
    with pytest.raises(TypeError, match="batch: expected"):
        zcfast.score(net(4), empty, ["snip"])


def test_frames_have_the_columns_of_the_file(batch):
    pytest.importorskip("pandas")
    pytest.importorskip("polars")
    scores = zcfast.score_modules({"small": net(4), "wide": net(16)}, batch, ["params", "snip"])
    for frame in (scores.to_pandas(), scores.to_polars()):
        assert list(frame.columns) == scores.to_arrow().column_names
        assert list(frame["architecture"]) == ["small", "wide"]
