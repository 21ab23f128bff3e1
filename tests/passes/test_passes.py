"""Only the passes that are needed run, each once."""

from collections import Counter

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F  # noqa: N812

from tests.passes.traps import Trap
from tests.proxies.example_nets import SMALL_NET, image_batch, small_cnn
from zcfast.proxies import fisher
from zcfast.scoring import score

GRADIENTS = ["grad_norm", "snip", "plain", "fisher"]


def log_of(proxies, **options):
    """How often each stage is reached in a small net of one BatchNorm; double backward counts the graph it passes."""
    trap = Trap()
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), trap, nn.Flatten(), nn.Linear(144, 5))
    result = score(net, image_batch(dtype=torch.float32), proxies, **options)
    assert all(s.status == "ok" for s in result.values())
    return Counter(trap.memory.stages)


@pytest.mark.parametrize(
    ("proxies", "forward", "backward", "double"),
    [
        (["params", "l2_norm"], 0, 0, 0),
        (["flops"], 1, 0, 0),
        (["snip"], 1, 1, 0),
        (GRADIENTS, 1, 1, 0),
        ([*GRADIENTS, fisher(weighting="channel"), fisher(aggregation="elementwise")], 1, 1, 0),
        (["jacob_cov"], 1, 1, 0),
        ([*GRADIENTS, "jacob_cov", "flops"], 1, 2, 0),
        # The trap is a custom function: grasp tries a forward pass with tangents, finds it, and takes the gradient of a
        # gradient, a forward and a backward pass with its graph and one through both.
        ([*GRADIENTS, "grasp"], 3, 3, 1),
    ],
)
def test_passes(proxies, forward, backward, double):
    log = log_of(proxies)
    assert (log["forward"], log["backward"], log["double backward"]) == (forward, backward, double)


def test_synflow_runs_forward_once_and_never_backward(monkeypatch):
    calls = []
    net = small_cnn()
    net[0].register_forward_pre_hook(lambda module, args: calls.append(args[0].shape))
    monkeypatch.setattr(torch.autograd, "grad", None)
    assert score(net, image_batch(dtype=torch.float32), ["synflow"])["synflow"].status == "ok"
    assert calls == [(1, 3, 8, 8)]


def test_time_is_that_of_the_passes_needed():
    names = ("l2_norm", "snip", "synflow")
    results = [score(small_cnn().double(), image_batch(), names) for _ in range(5)]  # the machine may be busy
    seconds = {name: min(result[name].seconds for result in results) for name in names}
    assert 0 < seconds["l2_norm"] < seconds["snip"]
    assert seconds["synflow"] > 0


def test_weights_are_not_copied_with_the_net(monkeypatch):
    import copy

    def refused(*_):
        raise AssertionError("deepcopy")

    monkeypatch.setattr(copy, "deepcopy", refused)
    assert score(small_cnn().double(), image_batch(), ["snip", "synflow"])["snip"].status == "ok"


def by_statement(x):
    raise RuntimeError("no such thing")


def by_name(x):
    return x.nothing


def by_check(x):
    assert x.ndim == 3, "three dimensions"


RAISING = {"raise": by_statement, "attribute": by_name, "assert": by_check}
BAD_SHAPES = {"shape": lambda x: F.linear(x, torch.ones(2, 7, dtype=x.dtype)), "view": lambda x: x.view(7, -1)}


class Counted(nn.Module):
    """Counts its runs where no pass puts the count back."""

    def __init__(self, function, dtype):
        super().__init__()
        self.runs, self.function = iter(range(99)), function
        self.conv = nn.Conv2d(3, 4, 3, dtype=dtype)

    def forward(self, x):
        next(self.runs)
        return self.function(self.conv(x))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("proxies", [[name] for name in SMALL_NET] + [list(SMALL_NET)], ids=lambda names: names[-1])
@pytest.mark.parametrize("kind", RAISING)
def test_a_net_that_always_raises_runs_once(kind, proxies, dtype):
    net = Counted(RAISING[kind], dtype)
    result = score(net, image_batch(dtype=dtype), proxies)
    without = {"params", "l2_norm", "vkdnw_dim"}
    assert next(net.runs) == (0 if set(proxies) <= without else 1)
    reasons = {s.reason.removeprefix("in float64, as synflow runs: ") for n, s in result.items() if n not in without}
    assert len(reasons) <= 1
    assert {s.status for n, s in result.items() if n not in without} <= {"failed"}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", BAD_SHAPES)
def test_where_a_function_always_raises_each_input_is_tried_once(kind, dtype):
    """synflow's sample of ones may pass where the minibatch does not."""
    for proxies, runs in ((["snip", "jacob_cov", "naswot"], 1), (["snip", "synflow_bn"], 2)):
        net = Counted(BAD_SHAPES[kind], dtype)
        result = score(net, image_batch(dtype=dtype), proxies)
        assert {s.status for s in result.values()} == {"failed"}
        assert next(net.runs) == runs
