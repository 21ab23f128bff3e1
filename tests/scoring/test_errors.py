"""Wrong arguments raise and name what was expected; what a net cannot give is NaN with a reason."""

import math

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F  # noqa: N812
from torch.nn.utils import parametrize

from tests.proxies.example_nets import ANY_NET, image_batch, small_cnn
from zcfast.proxies import fisher
from zcfast.scoring import score

pytestmark = pytest.mark.usefixtures("one_thread")
ALL = (*ANY_NET, "naswot")
IMAGES, TARGETS = image_batch()


def with_nan():
    images = IMAGES.clone()
    images[0, 0, 0, 0] = torch.nan
    return images


def unreduced(logits, targets):
    return F.cross_entropy(logits, targets, reduction="none")


def without_graph(logits, targets):
    return logits.detach().mean()


WRONG = [
    ("batch", (IMAGES, TARGETS + 5), ValueError, "targets: expected classes 0 to 4, or -100 to ignore, got"),
    ("batch", (IMAGES, TARGETS - 5), ValueError, "targets: expected classes 0 to 4, or -100 to ignore, got"),
    ("batch", (IMAGES, TARGETS[:3]), ValueError, "targets: expected one a sample"),
    ("batch", (IMAGES, TARGETS[:, None]), ValueError, "targets: expected shape"),
    ("batch", (IMAGES, TARGETS.tolist()), TypeError, "targets: expected a tensor, got list"),
    ("batch", (IMAGES, torch.rand(6, 4)), ValueError, "targets: expected probabilities"),
    ("batch", (IMAGES[:0], TARGETS[:0]), ValueError, "inputs: expected at least one sample"),
    ("batch", (with_nan(), TARGETS), ValueError, "inputs: expected finite numbers"),
    ("batch", (with_nan().nan_to_num(torch.inf), TARGETS), ValueError, "inputs: expected finite numbers"),
    ("batch", (IMAGES.to("meta"), TARGETS), ValueError, r"inputs: .*\(cpu\), got meta"),
    ("batch", (IMAGES, TARGETS.to("meta")), ValueError, r"targets: .*\(cpu\), got meta"),
    ("batch", (IMAGES, TARGETS > 1), ValueError, "targets: expected classes as integers or .* got torch.bool"),
    ("loss_fn", without_graph, ValueError, "loss_fn: expected a loss that depends on the logits"),
    ("loss_fn", "mse", TypeError, "loss_fn: expected a callable, got 'mse'"),
    ("logits", "logits", TypeError, "logits: expected a callable, got 'logits'"),
    ("proxies", None, TypeError, "proxies: expected a list of names"),
    ("proxies", [], ValueError, "proxies: expected at least one, got none"),
    ("batch", IMAGES, TypeError, r"batch: expected \(inputs, targets\)"),
    ("module", nn.Flatten(), ValueError, "module: expected at least one layer .* got none"),
    ("module", len, TypeError, "module: expected an nn.Module"),
    ("loss_fn", unreduced, ValueError, r"loss_fn: expected to return a scalar, got shape \(6,\)"),
    ("loss_fn", lambda y, t: 0.0, TypeError, "loss_fn: expected to return a tensor, got float"),
    ("logits", lambda y: None, TypeError, "logits: expected a tensor, got NoneType"),
    ("logits", lambda y: y.round().long(), ValueError, "logits: expected floats, got torch.int64"),
    ("logits", lambda y: y[:, :0], ValueError, "logits: expected two classes or more"),
    ("layers", (nn.Conv2d, "Linear"), TypeError, "layers: expected a tuple of types"),
    ("layers", (nn.BatchNorm2d,), TypeError, "layers: expected a tuple of types"),
    ("layers", nn.Conv2d, TypeError, "layers: expected a tuple of types"),
    ("layers", (), TypeError, "layers: expected a tuple of types"),
    ("batch", (IMAGES.to_sparse(), TARGETS), ValueError, "inputs: expected a dense tensor, got a torch.sparse_coo one"),
    ("batch", (torch.nested.nested_tensor([IMAGES[0], IMAGES[1]]), TARGETS[:2]), ValueError, "got a nested one"),
    ("proxies", ["snipe"], ValueError, "unknown proxy 'snipe': did you mean snip"),
    ("proxies", "snip", TypeError, "proxies: expected a list"),
    ("proxies", [3], TypeError, "proxies: expected names or configured"),
    ("proxies", ["fisher", fisher()], ValueError, "proxies: expected each once"),
]


@pytest.mark.parametrize(("argument", "value", "error", "message"), WRONG, ids=[f"{w[0]}: {w[3]}" for w in WRONG])
def test_wrong_arguments(argument, value, error, message):
    call = {"module": small_cnn().double(), "batch": (IMAGES, TARGETS), "proxies": ALL, argument: value}
    with pytest.raises(error, match=message):
        score(**call)


@pytest.mark.parametrize("dtype", [torch.int32, torch.int16, torch.uint8])
def test_targets_of_any_integer_type(dtype):
    net = small_cnn().double()
    expected, got = (score(net, (IMAGES, each), ["snip"])["snip"] for each in (TARGETS, TARGETS.to(dtype)))
    assert got.status == "ok"
    assert got.value == expected.value


def test_output_without_logits():
    class Nothing(nn.Sequential):
        def forward(self, x):
            super().forward(x)
            return object()

    with pytest.raises(TypeError, match="logits: expected a callable that finds them"):
        score(Nothing(nn.Linear(4, 3)), (torch.randn(5, 4), torch.arange(5) % 3), ["snip"])


def test_proxies_without_layers_need_none():
    net = nn.Sequential(nn.Flatten(), nn.Tanh())
    batch = torch.randn(4, 5), torch.arange(4)
    result = score(net, batch, ["jacob_cov", "params"])
    assert [s.status for s in result.values()] == ["ok", "ok"]


def test_layers_that_are_not_there():
    with pytest.raises(ValueError, match=r"\(Conv3d\)"):
        score(small_cnn().double(), (IMAGES, TARGETS), ["snip"], layers=(nn.Conv3d,))


def failed(result, names, reason, status="failed"):
    assert {name for name, s in result.items() if s.status != "ok"} == set(names)
    for name in names:
        one = result[name]
        assert (one.status, reason in one.reason) == (status, True), one.reason
        assert math.isnan(one.value)
        assert (one.per_layer, one.layer_names, one.log_value) == (None, (), None)


MINIBATCH = {"grad_norm", "snip", "plain", "grasp", "fisher", "jacob_cov", "naswot", "flops", "multiply_adds"}


def test_batchnorm_with_a_batch_of_one():
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 4), nn.BatchNorm1d(4), nn.Linear(4, 5)).double()
    result = score(net, (IMAGES[:1], TARGETS[:1]), [n for n in ALL if n != "synflow_bn"], per_layer=True)
    failed(result, MINIBATCH, "ValueError: Expected more than 1 value per channel")


def test_jacobian_of_a_batch_of_one():
    result = score(small_cnn(False).double(), (IMAGES[:1], TARGETS[:1]), ALL)
    failed(result, {"jacob_cov"}, "two or more", status="undefined")


def test_a_net_that_raises():
    class Broken(nn.Linear):
        def forward(self, x):
            raise RuntimeError("no such thing\nsecond line")

    result = score(Broken(4, 3), (torch.randn(5, 4), torch.arange(5) % 3), ALL)
    failed(result, MINIBATCH | {"synflow", "synflow_bn"}, "RuntimeError: no such thing")
    assert result["l2_norm"].status == "ok"


def test_a_parametrization_that_raises():
    class Broken(nn.Module):
        def forward(self, weight):
            raise RuntimeError("no such thing\nsecond line")

    net = nn.Sequential(nn.Linear(4, 3)).eval()
    parametrize.register_parametrization(net[0], "weight", Broken(), unsafe=True)
    with pytest.raises(ValueError, match=r"^module: a parametrization of Linear raised RuntimeError: no such thing$"):
        score(net, (torch.randn(5, 4), torch.arange(5) % 3))
    assert parametrize.is_parametrized(net[0])
    assert not net.training


def test_a_loss_that_raises():
    def loss(logits, targets):
        raise RuntimeError("no such thing")

    result = score(small_cnn().double(), (IMAGES, TARGETS), ALL, loss_fn=loss)
    failed(
        result,
        MINIBATCH - {"jacob_cov", "naswot", "flops", "multiply_adds"},
        "loss_fn raised RuntimeError: no such thing",
    )


def test_a_function_for_logits_that_raises():
    with pytest.raises(TypeError, match=r"logits: .* raised AttributeError: .* no attribute 'nothing'"):
        score(small_cnn().double(), (IMAGES, TARGETS), ALL, logits=lambda output: output.nothing)


def test_an_operation_without_second_derivative():
    class Once(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(ctx, gradient):
            return gradient.clone()

    class Net(nn.Linear):
        def forward(self, x):
            return Once.apply(super().forward(x).tanh())

    result = score(Net(4, 3).double(), (torch.randn(5, 4).double(), torch.arange(5) % 3), ANY_NET)
    failed(result, {"grasp"}, "once_differentiable")


def test_numbers_that_overflow():
    net = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 3))
    nn.init.constant_(net[0].weight, 1e38)
    nn.init.constant_(net[1].weight, 1e38)
    result = score(net, (torch.ones(5, 4), torch.arange(5) % 3), ["snip", "l2_norm", "synflow"])
    failed(result, {"snip"}, "not a number", status="undefined")


def test_weights_that_are_not_numbers():
    net = small_cnn().double()
    net[0].weight.data[0, 0, 0, 0] = torch.nan
    result = score(net, (IMAGES, TARGETS), ALL)
    assert {n for n, s in result.items() if s.status == "ok"} == {"params", "flops", "multiply_adds"}
    assert all(s.reason and math.isnan(s.value) for n, s in result.items() if s.status != "ok")


def test_an_output_that_no_weight_reaches():
    class Cut(nn.Linear):
        def forward(self, x):
            return super().forward(x).detach() * 1.0

    result = score(Cut(4, 3).double(), (torch.randn(5, 4).double(), torch.arange(5) % 3), ANY_NET)
    for name in ("grad_norm", "snip", "plain", "grasp", "fisher", "synflow", "synflow_bn", "jacob_cov"):
        assert result[name].status == "refused", name
        assert "no gradient leads to the logits" in result[name].reason
