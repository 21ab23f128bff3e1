import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.expected import networks
from tests.shared import released_nasbench101, shared_data
from zcfast.spaces import space
from zcfast.spaces.nasbench101 import NasBench101Cells
from zcfast.spaces.nasbench101.closed_forms import nasbench101_expected_synflow
from zcfast.spaces.nasbench101.network import NasBench101Network
from zcfast.spaces.nasbench201 import NasBench201Cells
from zcfast.spaces.nasbench201.closed_forms import nasbench201_expected_synflow
from zcfast.spaces.nasbench201.network import NasBench201Network

SPACE101, SPACE201 = space("nasbench101"), space("nasbench201")
INITIALISATIONS = st.sampled_from(["kaiming_fan_out", "kaiming_fan_in", "pytorch"])
NETWORKS101 = st.builds(
    NasBench101Network,
    stem_channels=st.integers(5, 12),
    stacks=st.integers(1, 3),
    modules=st.integers(1, 3),
    classes=st.integers(1, 12),
    resolution=st.sampled_from([8, 16, 24, 32]),
    image_channels=st.integers(1, 4),
)
NETWORKS201 = st.builds(
    NasBench201Network,
    stem_channels=st.integers(1, 8),
    modules=st.integers(1, 3),
    classes=st.integers(1, 12),
    resolution=st.sampled_from([4, 8, 12, 16, 32]),
    image_channels=st.integers(1, 4),
)


@given(st.integers(0, 423_623), NETWORKS101, INITIALISATIONS)
@settings(max_examples=150, deadline=None)
def test_nasbench101_equals_autograd_at_mean_weights(index, network, initialisation):
    cell = SPACE101.enumerate()[index]
    matrix, names = SPACE101.to_matrices(cell)[0]
    weight = networks.mean_weights(initialisation)
    expected = networks.synflow(lambda w: networks.nasbench101(matrix, names, w, **dataclasses.asdict(network)), weight)
    got = nasbench101_expected_synflow(cell, network, initialisation, torch.float64).exp()
    torch.testing.assert_close(got.item(), expected.item(), rtol=1e-12, atol=0)


@given(st.integers(0, 15_624), NETWORKS201, INITIALISATIONS)
@settings(max_examples=150, deadline=None)
def test_nasbench201_equals_autograd_at_mean_weights(index, network, initialisation):
    cell = SPACE201.enumerate()[index]
    operations = cell.operations[0].tolist()
    weight = networks.mean_weights(initialisation)
    expected = networks.synflow(lambda w: networks.nasbench201(operations, w, **dataclasses.asdict(network)), weight)
    got = nasbench201_expected_synflow(cell, network, initialisation, torch.float64).exp()
    torch.testing.assert_close(got.item(), expected.item(), rtol=1e-12, atol=0)


def test_full_size_networks_equal_autograd_at_mean_weights():
    cell = SPACE101.sample(1, torch.Generator().manual_seed(5))
    matrix, names = SPACE101.to_matrices(cell)[0]
    options = dataclasses.asdict(SPACE101.network)
    expected = networks.synflow(
        lambda w: networks.nasbench101(matrix, names, w, **options), networks.mean_weights("kaiming_fan_out")
    )
    got = nasbench101_expected_synflow(cell, dtype=torch.float64)
    torch.testing.assert_close(got.item(), math.log(expected), rtol=1e-12, atol=0)


def mean_of_random_networks(forward, initialisation, count, seed):
    generator = torch.Generator().manual_seed(seed)
    draws = [networks.synflow(forward, networks.random_weights(initialisation, generator)) for _ in range(count)]
    values = torch.stack(draws)
    return values.mean().item(), values.std().item() / math.sqrt(count)


@pytest.mark.parametrize("text", ["conv3x3:0|conv1x1:0,1|output:1,2", "conv1x1:0|conv3x3:1|conv3x3:0,2|output:0,3"])
@pytest.mark.parametrize("initialisation", ["kaiming_fan_out", "pytorch"])
@pytest.mark.statistics
def test_nasbench101_without_pools_is_the_mean_over_initialisations(text, initialisation):
    cell = SPACE101.parse(text)
    matrix, names = SPACE101.to_matrices(cell)[0]
    network = NasBench101Network(stem_channels=5, stacks=1, modules=2, classes=3, resolution=8)
    mean, error = mean_of_random_networks(
        lambda w: networks.nasbench101(matrix, names, w, **dataclasses.asdict(network)), initialisation, 800, 0
    )
    got = nasbench101_expected_synflow(cell, network, initialisation, torch.float64).exp().item()
    assert error < 0.03 * mean
    assert abs(got - mean) < 4 * error


@pytest.mark.statistics
def test_nasbench201_is_the_mean_over_initialisations():
    cell = SPACE201.parse("|nor_conv_3x3~0|+|skip_connect~0|avg_pool_3x3~1|+|nor_conv_1x1~0|none~1|nor_conv_3x3~2|")
    network = NasBench201Network(stem_channels=4, modules=1, classes=3, resolution=8)
    mean, error = mean_of_random_networks(
        lambda w: networks.nasbench201(cell.operations[0].tolist(), w, **dataclasses.asdict(network)), "pytorch", 800, 0
    )
    got = nasbench201_expected_synflow(cell, network, "pytorch", torch.float64).exp().item()
    assert error < 0.03 * mean
    assert abs(got - mean) < 4 * error


@pytest.mark.slow
def test_float32_is_within_1e_5_of_float64_on_every_cell():
    for function, space_ in ((nasbench101_expected_synflow, SPACE101), (nasbench201_expected_synflow, SPACE201)):
        cells = space_.enumerate()
        single, double = function(cells), function(cells, dtype=torch.float64)
        assert torch.equal(single.isfinite(), double.isfinite())
        finite = double.isfinite()
        assert (single - double)[finite].abs().max() < 1e-5


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_scores_do_not_depend_on_threads_or_on_the_batch(threads):
    before = torch.get_num_threads()
    for function, cells in (
        (nasbench101_expected_synflow, SPACE101.enumerate()[::5]),
        (nasbench201_expected_synflow, SPACE201.enumerate()),
    ):
        expected = function(cells)
        shuffled = torch.randperm(len(cells), generator=torch.Generator().manual_seed(0))
        try:
            torch.set_num_threads(threads)
            assert torch.equal(function(cells), expected)
            assert torch.equal(function(cells[shuffled]), expected[shuffled])
            assert torch.equal(function(cells[17]), expected[17:18])
            assert torch.equal(function(cells[100:111]), expected[100:111])
        finally:
            torch.set_num_threads(before)


def test_dangling_vertices_do_not_count():
    whole = SPACE101.parse("conv3x3:0|maxpool3x3:|conv1x1:0|output:1")
    assert torch.equal(
        nasbench101_expected_synflow(whole), nasbench101_expected_synflow(SPACE101.parse("conv3x3:0|output:1"))
    )


def test_a_nasbench201_cell_without_any_flow_scores_minus_infinity():
    none = SPACE201.parse("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|")
    assert nasbench201_expected_synflow(none).tolist() == [-math.inf]
    assert nasbench201_expected_synflow(SPACE201.enumerate()).isneginf().sum() == 201


def test_biases_keep_a_cell_without_a_path_alive():
    """A convolution of zeros gives its bias: not -inf unless the initialisation has no biases."""
    biased = SPACE201.parse("|none~0|+|none~0|none~1|+|none~0|nor_conv_3x3~1|none~2|")
    assert nasbench201_expected_synflow(biased).isfinite().all()
    assert nasbench201_expected_synflow(biased, initialisation="kaiming_fan_in").isneginf().all()


def test_empty_batches():
    assert nasbench101_expected_synflow(SPACE101.enumerate()[:0]).shape == (0,)
    assert nasbench201_expected_synflow(SPACE201.enumerate()[:0]).shape == (0,)


def test_wide_and_deep_networks_stay_finite():
    network = NasBench101Network(stem_channels=1024, modules=12, resolution=64)
    scores = nasbench101_expected_synflow(SPACE101.enumerate()[::20_000], network)
    double = nasbench101_expected_synflow(SPACE101.enumerate()[::20_000], network, dtype=torch.float64)
    assert scores.isfinite().all()
    torch.testing.assert_close(scores, double, rtol=0, atol=1e-4)


def test_bad_input_names_the_argument():
    invalid = NasBench101Cells(
        *(torch.tensor(x, dtype=d) for x, d in (([3], torch.int8), ([1], torch.int32))),
        torch.tensor([[0, -1, -1, -1, -1]], dtype=torch.int8),
    )
    with pytest.raises(RuntimeError, match="expected valid cells, got an invalid one in row 0"):
        nasbench101_expected_synflow(invalid)
    with pytest.raises(RuntimeError, match="operations: expected 0 to 4, got 7 in row 1"):
        nasbench201_expected_synflow(NasBench201Cells(torch.tensor([[0] * 6, [7] * 6], dtype=torch.int8)))
    with pytest.raises(ValueError, match="unknown initialisation 'pytorhc': did you mean pytorch"):
        nasbench101_expected_synflow(SPACE101.enumerate()[:1], initialisation="pytorhc")
    with pytest.raises(ValueError, match=r"dtype: expected torch.float32 or torch.float64, got torch.float16"):
        nasbench201_expected_synflow(SPACE201.enumerate()[:1], dtype=torch.float16)


def test_spearman_with_real_accuracies():
    from scipy.stats import spearmanr

    cells, released = released_nasbench101()
    score = nasbench101_expected_synflow(cells)
    assert abs(spearmanr(score, released["test_correct_sum"])[0] - 0.365) < 0.002
    released = np.load(shared_data("nasbench201/accuracies.npz"))
    score = nasbench201_expected_synflow(SPACE201.enumerate())
    for column, expected in (("cifar10", 0.780), ("cifar100", 0.766), ("imagenet16", 0.753)):
        assert abs(spearmanr(score, released[f"test_{column}"])[0] - expected) < 0.003
