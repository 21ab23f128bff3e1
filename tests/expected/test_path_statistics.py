import math

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

import zcfast
from tests.expected import path_oracle
from tests.shared import shared_data
from zcfast.analysis import spearman, top_fraction_in_top_k
from zcfast.expected.path_rank import path_rank
from zcfast.expected.path_statistics import COLUMNS
from zcfast.spaces import space
from zcfast.spaces.forms import closed_forms
from zcfast.spaces.nasbench201 import cells as nasbench201

SPACE101, SPACE201 = space("nasbench101"), space("nasbench201")
UNDEFINED = [  # where no path leads from input to output
    *("path_relus", "path_relus_sd", "path_conv3x3", "path_conv1x1", "path_pools", "path_gain", "path_shortest"),
    *("path_longest", "path_longest_conv3x3", "path_receptive_field"),
]


def path_statistics(space, cells, network):
    return closed_forms(space)["path_statistics"].compute(cells, network, {})


def require_equal(statistics, row: int, expected: dict[str, float]) -> None:
    assert list(statistics) == list(COLUMNS)
    got = {name: column[row].item() for name, column in statistics.items()}
    del got["path_ln_params"]
    for name, value in expected.items():
        # The variance of the number of layers is a difference: its root keeps half the digits.
        tolerance = 1e-7 if name == "path_relus_sd" else 1e-12
        assert got.pop(name) == pytest.approx(value, rel=1e-12, abs=tolerance, nan_ok=True), name
    assert not got


@given(st.integers(0, 423_623))
@settings(max_examples=300, deadline=None)
@example(0)  # input -> output
@example(1)
@example(423_623)
@pytest.mark.slow
def test_nasbench101_equals_the_list_of_all_paths(index):
    cell = SPACE101.enumerate()[index]
    require_equal(path_statistics(SPACE101, cell, {}), 0, path_oracle.nasbench101(*SPACE101.to_matrices(cell)[0]))


def test_all_small_nasbench101_cells_equal_the_list_of_all_paths():
    cells = SPACE101.enumerate()[: 1 + 6 + 84 + 100]
    statistics = path_statistics(SPACE101, cells, {})
    for row, graph in enumerate(SPACE101.to_matrices(cells)):
        require_equal(statistics, row, path_oracle.nasbench101(*graph))


@pytest.mark.slow
def test_all_nasbench201_cells_equal_the_list_of_all_paths():
    cells = SPACE201.enumerate()
    statistics = path_statistics(SPACE201, cells, {})
    step = 7  # a seventh of the cells, and every one without a path
    rows = {*range(0, len(cells), step), *statistics["path_relus"].isnan().nonzero()[:, 0].tolist()}
    for row in rows:
        names = [nasbench201.OPERATIONS[code] for code in cells.operations[row].tolist()]
        require_equal(statistics, row, path_oracle.nasbench201(names))


def test_a_cell_by_hand():
    """input -> 3x3 -> pool -> output and input -> pool: the pool reads 1 + 1, so the paths weigh a half each."""
    statistics = path_statistics(SPACE101, SPACE101.parse("conv3x3:0|maxpool3x3:0,1|output:2"), {})
    expected = {
        **{"path_relus": 1.5, "path_relus_sd": 0.5, "path_conv3x3": 0.5, "path_conv1x1": 0, "path_pools": 1},
        **{"path_gain": 0, "path_shortest": 1, "path_longest": 2, "path_longest_conv3x3": 1, "path_receptive_field": 5},
        **{"path_ln_count": math.log(2), "path_variance": 2, "path_conv_layers": 3, "path_projections": 2},
        **{"path_fan_in": 1, "path_relu_units": 3, "path_width_conv3x3": 1, "path_width_conv1x1": 0},
        **{"path_width_pool": 1, "path_output_conv3x3": 0, "path_output_conv1x1": 0, "path_output_pool": 1},
    }
    require_equal(statistics, 0, expected)


@pytest.mark.parametrize(
    "text",
    [
        "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|",
        "|nor_conv_3x3~0|+|skip_connect~0|avg_pool_3x3~1|+|none~0|none~1|none~2|",  # nothing into the output
        "|none~0|+|none~0|nor_conv_3x3~1|+|none~0|nor_conv_1x1~1|nor_conv_3x3~2|",  # nothing from the input
    ],
)
def test_where_there_is_no_path(text):
    statistics = path_statistics(SPACE201, SPACE201.parse(text), {})
    for name, column in statistics.items():
        if name in UNDEFINED:
            assert column.isnan().all(), name
        elif name == "path_ln_count":
            assert column.item() == -math.inf
        elif name != "path_ln_params":
            assert column.item() == 0, name


def test_cells_without_a_convolution():
    skips = SPACE201.parse("|skip_connect~0|+|none~0|skip_connect~1|+|none~0|none~1|avg_pool_3x3~2|")
    statistics = path_statistics(SPACE201, skips, {})
    assert [statistics[f"path_{name}"].item() for name in ("relus", "pools", "variance", "longest")] == [0, 1, 1, 0]


@given(st.integers(0, 423_623), st.permutations(range(5)))
@settings(max_examples=100, deadline=None)
@pytest.mark.slow
def test_isomorphic_nasbench101_cells_are_equal_but_for_params(index, order):
    cell = SPACE101.enumerate()[index]
    matrix, names = SPACE101.to_matrices(cell)[0]
    inner = [v + 1 for v in order if v < len(names) - 2]
    vertices = [0, *inner, len(names) - 1]
    moved = matrix[vertices][:, vertices]
    if np.tril(moved).any():
        return  # no topological order
    other = SPACE101.parse((moved, [names[v] for v in vertices]))
    first, second = path_statistics(SPACE101, cell, {}), path_statistics(SPACE101, other, {})
    for name in first.keys() - {"path_ln_params"}:
        torch.testing.assert_close(first[name], second[name], rtol=1e-12, atol=1e-7)


def test_vertices_and_edges_on_no_path_do_not_count():
    whole = SPACE101.parse("conv3x3:0|maxpool3x3:|conv1x1:0,2|conv3x3:1,2|output:1")
    pruned = path_statistics(SPACE101, SPACE101.parse("conv3x3:0|output:1"), {})
    for name, column in path_statistics(SPACE101, whole, {}).items():
        assert torch.equal(column, pruned[name]), name


def test_columns_of_a_space(space):
    cells = space.enumerate()[::50]
    names = ["params", "path_statistics", "path_rank"]
    scores = zcfast.score_space(space, names, cells=cells, modules=1)
    assert list(scores.columns) == ["params", *COLUMNS, "path_rank"]
    assert all(column.dtype == torch.float64 for name, column in scores.columns.items() if name != "params")
    assert torch.equal(scores["path_ln_params"], scores["params"].double().log())
    for name, (definition, unit) in COLUMNS.items():
        assert scores.provenance.columns[name].definition == definition
        assert scores.provenance.columns[name].unit == unit
    assert "after looking at the accuracies" in scores.provenance.columns["path_rank"].definition
    sampled = zcfast.score_architectures(space, names[::-1], cells[:3], None)
    assert list(sampled.columns) == ["path_rank", *COLUMNS, "params"]
    assert list(sampled.provenance.columns) == list(sampled.columns)


def test_no_cells(space):
    scores = zcfast.score_space(space, ["path_statistics", "path_rank"], cells=space.enumerate()[:0])
    assert all(column.shape == (0,) for column in scores.columns.values())


def test_path_rank_is_over_all_cells_together(monkeypatch):
    cells = SPACE101.enumerate()[::97]
    whole = zcfast.score_space(SPACE101, ["path_rank"], cells=cells)["path_rank"]
    monkeypatch.setattr("zcfast.scoring.space.CHUNK", 1000)
    assert torch.equal(zcfast.score_space(SPACE101, ["path_rank"], cells=cells)["path_rank"], whole)
    part = zcfast.score_space(SPACE101, ["path_rank"], cells=cells[:500])["path_rank"]
    assert not torch.equal(part, whole[:500])


def test_path_rank_by_hand():
    nan = math.nan
    statistics = {
        "path_ln_params": torch.tensor([5.0, 5, 7, 6]),
        "path_longest_conv3x3": torch.tensor([nan, 0.0, 2, 2]),
        "path_conv_layers": torch.tensor([0.0, 3, 1, 1]),
        "path_pools": torch.tensor([nan, 0, 0.1 + 0.2, 0.3], dtype=torch.float64),  # the last two are equal
        "path_conv3x3": torch.tensor([nan, 0.0, 2, 1]),
    }
    ranks = [(1, 1, 1), (4, 4, 2), (2.5, 2.5, 4), (2.5, 2.5, 3)]
    assert path_rank(statistics, version=1)["path_rank"].tolist() == pytest.approx(sums(ranks))
    ranks = [(1.5, 1, 1, 1), (1.5, 4, 4, 2), (4, 2.5, 2.5, 3.5), (3, 2.5, 2.5, 3.5)]
    assert path_rank(statistics)["path_rank"].tolist() == pytest.approx(sums(ranks))


def sums(ranks):
    return [sum(math.log(rank / 4) for rank in row) for row in ranks]


def test_the_version_of_path_rank_is_an_option(space):
    cells = space.enumerate()[::97]
    statistics = zcfast.score_space(space, ["path_statistics"], cells=cells).columns
    for version in (1, 2):
        scores = zcfast.score_space(space, ["path_rank"], cells=cells, path_rank_version=version)
        assert torch.equal(scores["path_rank"], path_rank(statistics, version)["path_rank"])
        assert scores.provenance.options["path_rank_version"] == version
        sampled = zcfast.score_architectures(space, ["path_rank"], cells, None, path_rank_version=version)
        assert torch.equal(sampled["path_rank"], scores["path_rank"])
    default = zcfast.score_space(space, ["path_rank"], cells=cells)
    assert torch.equal(default["path_rank"], scores["path_rank"])
    assert "path_rank_version" not in default.provenance.options
    for wrong in (0, 3, True, "2"):
        with pytest.raises(ValueError, match="path_rank_version: expected one of 1, 2, got"):
            zcfast.score_space(space, ["path_rank"], cells=cells, path_rank_version=wrong)
    with pytest.raises(ValueError, match="path_rank_version: no effect on params"):
        zcfast.score_architectures(space, ["params"], cells[:1], None, path_rank_version=1)


@pytest.mark.parametrize(
    ("name", "version", "expected"),
    [
        ("nasbench101", 1, {"test": (0.709, 1)}),
        ("nasbench201", 1, {"test_cifar10": (0.923, 45), "test_cifar100": (0.908, 41), "test_imagenet16": (0.883, 15)}),
        ("nasbench101", 2, {"test": (0.735, 47)}),
        (
            "nasbench201",
            2,
            {"test_cifar10": (0.916, 56), "test_cifar100": (0.8985, 50), "test_imagenet16": (0.880, 31)},
        ),
    ],
)
def test_path_rank_with_real_accuracies(name, version, expected):
    table = zcfast.table(name, shared_data(f"{name}/accuracies.npz"))
    column = zcfast.score_space(name, ["path_rank"], path_rank_version=version)["path_rank"]
    for metric, (correlation, count) in expected.items():
        assert spearman(column, table[metric]) == pytest.approx(correlation, abs=6e-4)
        assert top_fraction_in_top_k(column, table[metric]) == count


def test_bad_input_names_the_argument():
    cells = nasbench201.NasBench201Cells(torch.tensor([[7] * 6], dtype=torch.int8))
    with pytest.raises(ValueError, match="cells: row 0 is no NAS-Bench-201 cell"):
        zcfast.score_space(SPACE201, ["path_statistics"], cells=cells)
    with pytest.raises(ValueError, match="initialisation: no effect on path_statistics"):
        zcfast.score_space(SPACE201, ["path_statistics"], initialisation="pytorch")
    with pytest.raises(ValueError, match="proxies: expected a list of different names"):
        zcfast.score_space(SPACE101, ["path_rank", "path_rank"])
