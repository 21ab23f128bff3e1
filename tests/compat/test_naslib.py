"""NASLib's predictor: names, logarithms and signs."""

import math

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F  # noqa: N812

import zcfast
from tests.golden.modern_cases import build, values
from tests.proxies.example_nets import image_batch, small_cnn
from zcfast.compat.naslib import METHODS, ZeroCost


class Graph(nn.Sequential):
    """With what NASLib's graphs tell."""

    num_classes = 5

    def get_loss_fn(self):
        return F.cross_entropy


@pytest.mark.parametrize(
    ("method", "key"), [("jacov", "jacov"), ("nwot", "nwot_naslib"), ("synflow", "log_synflow_naslib")]
)
def test_published_numbers(method, key):
    net, batch = build("a_smallcnn")
    value = ZeroCost(method, "cpu").query(net, [batch])
    assert value == pytest.approx(dict(values(key))["a_smallcnn"], rel=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_every_method(method):
    torch.manual_seed(0)
    predictor, graph, batch = ZeroCost(method_type=method, device="cpu"), Graph(*small_cnn()).double(), image_batch()
    predictor.pre_process()
    predictor.fit([], [])
    value = predictor.query(graph, dataloader=[batch])
    assert math.isfinite(value)
    assert predictor.query([graph, graph], [batch]) == [value, value]


def test_units():
    graph, batch = Graph(*small_cnn()).double(), image_batch()
    scores = zcfast.score(graph, batch, ["params", "synflow"])
    assert ZeroCost("params", "cpu").query(graph, [batch]) == scores["params"].value / 1e6
    assert ZeroCost("synflow", "cpu").query(graph, [batch]) == pytest.approx(math.log(scores["synflow"].value))


def test_losses_and_what_has_no_score():
    graph, batch = Graph(*small_cnn()).double(), image_batch()
    value = ZeroCost("grad_norm", "cpu").query(graph, [batch])
    graph.get_loss_fn = nn.CrossEntropyLoss
    assert ZeroCost("grad_norm", "cpu").query(graph, [batch]) == value
    for loss in (nn.CrossEntropyLoss(label_smoothing=0.9), nn.CrossEntropyLoss(torch.arange(1.0, 6.0).double())):
        graph.get_loss_fn = lambda loss=loss: loss
        (smooth,) = zcfast.score(graph, batch, ["grad_norm"], loss_fn=lambda out, y, loss=loss: loss(out, y)).values()
        assert ZeroCost("grad_norm", "cpu").query(graph, [batch]) == smooth.value != value
    graph.get_loss_fn = lambda: nn.CrossEntropyLoss(reduction="sum")
    assert ZeroCost("grad_norm", "cpu").query(graph, [batch]) == pytest.approx(len(batch[1]) * value)
    graph.get_loss_fn = lambda: lambda out, y: 3 * F.cross_entropy(out, y)
    assert ZeroCost("grad_norm", "cpu").query(graph, [batch]) == pytest.approx(3 * value)
    plain = small_cnn(batchnorm=False).double()
    assert math.isnan(ZeroCost("jacov", "cpu").query(plain, [image_batch(1)]))


def test_wrong_arguments():
    with pytest.raises(ValueError, match="unknown method_type 'jacob': did you mean jacov"):
        ZeroCost("jacob")
    with pytest.raises(ValueError, match="dataloader: expected batches"):
        ZeroCost("jacov", "cpu").query(small_cnn())
    with pytest.raises(ValueError, match="device: expected one that PyTorch finds here, got 'gpu'"):
        ZeroCost("jacov", "gpu")
    with pytest.raises(ValueError, match="graph: expected Module, got int"):
        ZeroCost("jacov", "cpu").query([3], [image_batch()])
