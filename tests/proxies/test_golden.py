"""The published code's values in float64."""

import json
import math
from pathlib import Path

import pytest
import torch.nn as nn

from tests.golden import benchmark_nets, nets
from zcfast.scoring import score

PUBLISHED_LAYERS = (nn.Conv2d, nn.Linear)
PROXIES = ("grad_norm", "snip", "plain", "grasp", "fisher", "synflow", "synflow_bn", "l2_norm", "jacob_cov")
CASES = (
    "a_smallcnn",
    "a_smallcnn_dupinput",
    "a_smallcnn_batch1",
    "b_nb201_mixed",
    "b_nb201_allnone",
    "c_nb101_chain",
    "d_mlp",
    "e_grouped",
    "e_tied",
    "f_seqlinear",
)


@pytest.fixture(scope="module")
def golden():
    return json.loads((Path(nets.__file__).parent / "golden.json").read_text())["cases"]


def build(name, case):
    """The net of a case, filled, with its batch."""
    extra = case["extra"]
    net = {
        "a": lambda: nets.SmallCNN(),
        "b": lambda: benchmark_nets.NASBench201(extra["arch"], extra["C"], case["num_classes"]),
        "c": lambda: benchmark_nets.NASBench101Chain(extra["stem_channels"], case["num_classes"]),
        "d": lambda: nets.MLP(),
        "e": lambda: nets.Grouped() if name == "e_grouped" else nets.Tied(),
        "f": lambda: nets.SequenceLinear(),
    }[name[0]]()
    net.double()
    parameters = dict(net.named_parameters())
    assert {k: list(p.shape) for k, p in parameters.items()} == {p["name"]: p["shape"] for p in case["params"]}
    nets.fill([(p["name"], parameters[p["name"]]) for p in case["params"]])
    inputs, targets = (
        nets.make_input(case["input_shape"]),
        nets.make_targets(case["input_shape"][0], case["num_classes"]),
    )
    return net, inputs, targets


@pytest.fixture(scope="module", params=CASES)
def scored(request, golden):
    name = request.param
    case = golden["a_smallcnn"] if name.startswith("a_") else golden[name]
    net, inputs, targets = build(name, case)
    if name == "a_smallcnn_dupinput":
        inputs, targets = inputs[:4].clone(), targets[:4]
        inputs[1] = inputs[0]
    if name == "a_smallcnn_batch1":
        inputs, targets = inputs[:1], targets[:1]
    totals = score(net, (inputs, targets), PROXIES, layers=PUBLISHED_LAYERS)
    layers = score(net, (inputs, targets), PROXIES, layers=PUBLISHED_LAYERS, per_layer=True)
    return name, golden[name]["results"], totals, layers


def test_no_case_is_left_out(golden):
    assert set(golden) == set(CASES)
    assert all(set(case["results"]) <= {*PROXIES, "synflow_allbn_removed"} for case in golden.values())


@pytest.mark.parametrize("proxy", PROXIES)
def test_value(scored, proxy):
    name, results, totals, layers = scored
    key = "synflow_allbn_removed" if proxy == "synflow" and name.startswith("b_") else proxy
    expected = results[key]["value"]
    tolerance = 1e-8 if proxy == "grasp" else 1e-10
    if expected is None:
        assert math.isnan(totals[proxy].value)
        assert totals[proxy].status == "undefined"
        assert totals[proxy].reason
        return
    if (name, proxy) == ("f_seqlinear", "fisher"):
        # The published code takes time for the channel of a Linear; here its channels are last.
        assert totals[proxy].value != pytest.approx(expected, rel=1e-3)
        return
    if proxy == "l2_norm" and name.startswith("b_"):
        expected = math.fsum(results[proxy]["per_layer"].values())  # the published sum counts unused operations
    assert totals[proxy].value == pytest.approx(expected, rel=tolerance, abs=1e-300)
    assert layers[proxy].value == pytest.approx(expected, rel=tolerance, abs=1e-300)


@pytest.mark.parametrize("proxy", [p for p in PROXIES if p != "jacob_cov"])
def test_per_layer(scored, proxy):
    name, results, _, layers = scored
    key = "synflow_allbn_removed" if proxy == "synflow" and name.startswith("b_") else proxy
    expected = results[key]["per_layer"]
    got = dict(zip(layers[proxy].layer_names, layers[proxy].per_layer.tolist(), strict=True))
    if (name, proxy) == ("f_seqlinear", "fisher"):
        return
    scale = sum(map(abs, expected.values()))
    # A layer that BatchNorm follows gives plain and fisher little but rounding: compare with the whole.
    tolerance = 1e-8 if proxy == "grasp" else 1e-10
    if name.startswith("b_"):
        expected = {k: v for k, v in expected.items() if k in got}
    assert got == pytest.approx(expected, rel=tolerance, abs=1e-14 * scale)
