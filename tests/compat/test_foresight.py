"""foresight's call: the published numbers, its ways of taking data, and its errors."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F  # noqa: N812

import zcfast
from tests.golden import nets
from tests.proxies.example_nets import image_batch, small_cnn
from tests.proxies.test_golden import build
from tests.shared import environment
from zcfast.compat.foresight import MEASURES, find_measures

X, Y = image_batch()
CASES = json.loads((Path(nets.__file__).parent / "golden.json").read_text())["cases"]


@pytest.mark.parametrize("name", ["a_smallcnn", "d_mlp", "e_grouped", "c_nb101_chain"])
def test_published_numbers(name):
    net, *batch = build(name, CASES[name])
    before = {key: value.clone() for key, value in net.state_dict().items()}
    found = find_measures(net.eval(), [tuple(batch)], ("random", 1, 10), F.cross_entropy, torch.device("cpu"))
    assert tuple(found) == MEASURES
    for measure, value in found.items():
        expected = CASES[name]["results"][measure]["value"]
        tolerance = {"grasp": 1e-8, "synflow_bn": 1e-8}.get(measure, 1e-9)
        assert value == pytest.approx(expected, rel=tolerance, abs=1e-300), measure
    assert not net.training
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


def test_the_order_of_device_and_loss():
    net, batch = small_cnn().double(), image_batch()
    ways = [
        find_measures(net, [batch], ("random", 1, 5), F.cross_entropy, "cpu", ["snip"]),
        find_measures(net, [batch], ("random", 1, 5), "cpu", F.cross_entropy, ["snip"]),
        find_measures(net, [batch], ("random", 1, 5), "cpu", measure_names=["snip"]),
        find_measures(net, [batch], ("random", 1, 5), loss_fn=F.cross_entropy, device="cpu", measure_names=["snip"]),
    ]
    assert all(way == ways[0] for way in ways)
    other = find_measures(net, [batch], ("random", 1, 5), lambda out, y: F.cross_entropy(out, y) * 2, "cpu", ["snip"])
    assert other["snip"] == pytest.approx(2 * ways[0]["snip"])


def test_layers_are_those_of_foresight():
    net = nn.Sequential(nn.Flatten(), nn.Unflatten(1, (1, 192)), nn.Conv1d(1, 2, 3), nn.Flatten(), nn.Linear(380, 5))
    batch = image_batch()
    value = find_measures(net.double(), [batch], ("random", 1, 5), "cpu", measure_names=["l2_norm"])["l2_norm"]
    assert value == pytest.approx(net[4].weight.norm().item())


def test_several_batches_are_one():
    net, (x, y) = small_cnn().double(), image_batch(8)
    whole = find_measures(net, [(x, y)], ("random", 1, 5), "cpu", measure_names=["snip", "jacob_cov"])
    parts = [(x[:3], y[:3]), (x[3:8], y[3:8]), (x, y)]
    assert find_measures(net, parts, ("random", 2, 5), "cpu", measure_names=["snip", "jacob_cov"]) == whole


def test_samples_of_each_class():
    net, x = small_cnn().double(), torch.randn(9, 3, 8, 8).double()
    y = torch.tensor([2, 0, 0, 2, 1, 0, 1, 2, 1])
    rows = [1, 2, 4, 6, 0, 3]  # the first two of each class
    found = find_measures(net, [(x[:4], y[:4]), (x[4:], y[4:])], ("grasp", 2, 3), "cpu", measure_names=["grasp"])
    expected = zcfast.score(net, (x[rows], y[rows]), ["grasp"])["grasp"].value
    assert found["grasp"] == pytest.approx(expected, rel=1e-12)


def test_what_has_no_value_is_nan():
    x, y = image_batch(1)
    found = find_measures(small_cnn(batchnorm=False).double(), [(x, y)], ("random", 1, 5), "cpu")
    assert math.isnan(found["jacob_cov"])
    assert not math.isnan(found["snip"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dataload_info": ("some", 1, 5)}, "dataload_info: expected"),
        ({"dataload_info": ("random", 0, 5)}, "a number >= 1, got 0"),
        ({"dataload_info": ("random", 3, 5)}, "dataloader: expected 3 batches, got 1"),
        ({"dataload_info": ("grasp", 9, 5)}, "dataloader: expected 9 samples of each class"),
        ({"dataload_info": ("grasp", 1, 2)}, "expected targets below 2"),
        ({"measure_names": ["snop"]}, "unknown measure 'snop': did you mean snip"),
        ({"device": "gpu"}, "device: expected one that PyTorch finds here, got 'gpu'"),
        ({"dataload_info": ("grasp", 1, "5")}, "dataload_info: expected an integer, got '5'"),
        ({"dataload_info": ("grasp", 1, 0)}, "dataload_info: expected classes >= 1, got 0"),
        ({"dataload_info": ("random", 1)}, "dataload_info: expected"),
        ({"net_orig": 3}, "net_orig: expected Module, got int"),
    ],
)
def test_wrong_arguments(arguments, message):
    given = {"net_orig": small_cnn().double(), "dataload_info": ("random", 1, 5), "device": "cpu", **arguments}
    with pytest.raises(ValueError, match=message):
        find_measures(dataloader=[image_batch()], **given)


@pytest.mark.parametrize("kind", ["random", "grasp"])
@pytest.mark.parametrize(
    ("loader", "message"),
    [
        ([X], "dataloader: expected batches .inputs, targets. of tensors, got Tensor"),
        ((X, Y), "dataloader: expected batches .inputs, targets. of tensors, got Tensor"),
        ([(X,)], "dataloader: expected batches .inputs, targets. of tensors, got tuple"),
        ([(X, [0, 1])], "dataloader: expected batches .inputs, targets. of tensors, got tuple"),
        ([{"image": X}], "dataloader: expected batches .inputs, targets. of tensors, got dict"),
        (None, "dataloader: expected batches .inputs, targets., got NoneType"),
        ([(X, Y[:3])], "dataloader: expected a target of each input, got 3 of 6"),
        ([(X, Y), (X[:, :2], Y)], r"one form \[N, 3, 8, 8\] and \[N\], got \[N, 2, 8, 8\] and \[N\]"),
        ([], "dataloader: expected 7"),
    ],
)
def test_loaders_of_other_things(kind, loader, message):
    with pytest.raises((TypeError, ValueError), match=message):
        find_measures(small_cnn().double(), loader, (kind, 7, 5), "cpu", measure_names=["snip"])


@pytest.mark.parametrize("targets", [F.one_hot(Y, 5).double(), F.one_hot(Y, 5), Y.double(), Y > 2])
def test_samples_of_each_class_take_classes(targets):
    with pytest.raises(ValueError, match=r"dataloader: expected targets \[N\] of integers .*, got \["):
        find_measures(small_cnn().double(), [(X, targets)], ("grasp", 1, 5), "cpu", measure_names=["snip"])


def test_modules_come_at_first_use(tmp_path):
    code = (
        "import sys, zcfast; assert 'torch' not in sys.modules; zcfast.compat.foresight.find_measures; "
        "zcfast.compat.naslib.ZeroCost; print(dir(zcfast.compat), hasattr(zcfast.compat, 'nope'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("['foresight', 'naslib'] False\n", "")
