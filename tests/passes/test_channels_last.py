import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tests.proxies.plain_torch import check
from tests.reductions import same_on_any_thread_count
from zcfast import score
from zcfast.passes.cpu_backend import channels_last
from zcfast.passes.cpu_backend.channels_last import BatchNorm, ChannelsLast

SIX = ["grad_norm", "snip", "grasp", "fisher", "jacob_cov"]


def images(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator).contiguous(memory_format=torch.channels_last)


def in_float64(x, weight, bias, eps, gradient):
    x, weight, bias = (part.double().requires_grad_() for part in (x, weight, bias))
    output = F.batch_norm(x, None, None, weight, bias, True, 0.1, eps)
    return output, torch.autograd.grad(output, [x, weight, bias], gradient.double())


@settings(deadline=None)
@given(
    st.tuples(st.integers(1, 5), st.integers(1, 20), st.integers(1, 9), st.integers(1, 9)),
    st.sampled_from([0.0, 3.0, 30.0]),
    st.integers(0, 9),
)
def test_batch_norm_equals_float64(shape, mean, seed):
    if shape[0] * shape[2] * shape[3] < 2:
        return
    x, gradient = images(*shape, seed=seed) + mean, images(*shape, seed=seed + 100)
    weight, bias = images(1, 2, 1, shape[1], seed=seed + 200).flatten(2)[0].abs() + 0.5
    expected, derivatives = in_float64(x, weight, bias, 1e-2, gradient)
    leaves = [part.clone().requires_grad_() for part in (x, weight, bias)]
    output, _, _ = BatchNorm.apply(*leaves, 1e-2)
    tolerance = {"rtol": 1e-5, "atol": 2e-5 * (1 + mean)}  # the mean is rounded to float32, and eps lets r reach 10
    torch.testing.assert_close(output.double(), expected, **tolerance)
    size = x[:, 0].numel()
    for got, wanted in zip(torch.autograd.grad(output, leaves, gradient), derivatives, strict=True):
        torch.testing.assert_close(got.double(), wanted, rtol=1e-5, atol=tolerance["atol"] * size**0.5)


def test_batch_norm_sums_as_exactly_as_float64():
    x = images(64, 16, 32, 32) * 3 + 100
    _, mean, inverse = torch.ops.zcfast.batch_norm(x, torch.ones(16), torch.zeros(16), 1e-5)
    variance, expected = torch.var_mean(x.double(), (0, 2, 3), correction=0)
    torch.testing.assert_close(mean.double(), expected, rtol=1e-7, atol=0)
    torch.testing.assert_close(inverse.double(), (variance + 1e-5).rsqrt(), rtol=1e-7, atol=0)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_nan_and_inf_stay_in_their_channel(value):
    x = images(2, 3, 9, 9)
    x[1, 2, 3, 4] = value
    output, _, _ = torch.ops.zcfast.batch_norm(x, torch.ones(3), torch.zeros(3), 1e-5)
    assert output[:, 2].isnan().all()
    assert output[:, :2].isfinite().all()


def test_thread_count_changes_no_bit():
    x, gradient = images(9, 24, 71, 73), images(9, 24, 71, 73, seed=1)
    channels = torch.rand(24)
    same_on_any_thread_count(lambda: torch.cat([each.flatten() for each in _both(x, gradient, channels)]))


def _both(x, gradient, channels):
    output, mean, inverse = torch.ops.zcfast.batch_norm(x, channels, channels, 1e-5)
    return [output, *torch.ops.zcfast.batch_norm_backward(gradient, x, channels, mean, inverse)]


@pytest.mark.parametrize("shape", [(0, 3, 4, 4), (2, 0, 4, 4), (2, 3, 0, 4)])
def test_empty(shape):
    x, channels = torch.empty(shape).contiguous(memory_format=torch.channels_last), torch.ones(shape[1])
    output, mean, inverse = torch.ops.zcfast.batch_norm(x, channels, channels, 1e-5)
    assert output.shape == shape
    assert mean.isnan().all()
    assert torch.ops.zcfast.batch_norm_backward(output, x, channels, mean, inverse)[0].shape == shape


@pytest.mark.parametrize(
    ("x", "weight", "bias", "message"),
    [
        (torch.ones(2, 3, 4, 4), torch.ones(3), torch.ones(3), "input: expected a tensor in the memory format"),
        (torch.ones(2, 3), torch.ones(3), torch.ones(3), r"input: expected shape \[\*, \*, \*, \*\], got \[2, 3\]"),
        (images(2, 3, 4, 4).double(), torch.ones(3), torch.ones(3), "input: expected dtype Float, got Double"),
        (images(2, 3, 4, 4), torch.ones(4), torch.ones(3), r"weight: expected shape \[3\], got \[4\]"),
        (images(2, 3, 4, 4), torch.ones(3), torch.ones(6)[::2], "bias: expected a contiguous tensor"),
    ],
)
def test_errors_name_the_argument(x, weight, bias, message):
    with pytest.raises(RuntimeError, match=message):
        torch.ops.zcfast.batch_norm(x, weight, bias, 1e-5)


@settings(deadline=None)
@given(
    st.integers(1, 4),
    st.tuples(st.integers(1, 7), st.integers(1, 7)),
    st.integers(0, 2),
    st.booleans(),
    st.integers(1, 2),
)
def test_average_pools_equal_torch(size, edges, padding, include, stride):
    if padding > size // 2 or any(edge + 2 * padding < size for edge in edges):
        return
    x = images(3, 5, *edges).requires_grad_()
    expected = F.avg_pool2d(x, size, stride, padding, count_include_pad=include)
    with ChannelsLast():
        got = F.avg_pool2d(x, size, stride, padding, count_include_pad=include)
    torch.testing.assert_close(got, expected)
    gradient = torch.randn_like(expected)
    torch.testing.assert_close(*(torch.autograd.grad(each, x, gradient)[0] for each in (got, expected)))


class Net(nn.Module):
    def __init__(self, affine=True):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 1)
        self.norms = nn.ModuleList(nn.BatchNorm2d(8, affine=affine) for _ in range(2))
        self.pool, self.classifier = nn.AvgPool2d(3, 1, 1, count_include_pad=False), nn.Linear(8, 5)

    def forward(self, x):
        x = self.norms[0](self.first(x)).relu()
        x = self.pool(self.norms[1](self.second(x)) + x)
        return self.classifier(x.mean((2, 3)))


@pytest.mark.parametrize("affine", [False, True])
def test_scores_are_those_of_the_format_of_the_caller(monkeypatch, affine):
    batch = torch.randn(6, 3, 10, 10), torch.arange(6) % 5
    ran = []
    original = channels_last._batch_norm
    monkeypatch.setitem(channels_last._RULES, F.batch_norm, lambda *a, **k: ran.append(1) or original(*a, **k))
    ours = score(Net(affine), batch, SIX)
    exact = score(Net(affine).double(), (batch[0].double(), batch[1]), SIX)
    assert ran
    for name, each in exact.items():
        assert ours[name].status == each.status == "ok"
        assert ours[name].value == pytest.approx(each.value, rel=2e-5), name


class Strides(Net):
    def forward(self, x):
        return super().forward(x) * float(x.stride(1))


def test_a_net_that_reads_strides_sees_its_own():
    batch = torch.randn(6, 3, 10, 10), torch.arange(6) % 5
    ours = score(Strides(), batch, ["snip"])["snip"]
    exact = score(Strides().double(), (batch[0].double(), batch[1]), ["snip"])["snip"]
    assert ours.status == "ok"
    assert ours.value == pytest.approx(exact.value, rel=1e-4)


@pytest.mark.parametrize(
    ("options", "outermost"),
    [
        ({"padding": 1}, True),
        ({"padding": "same", "dilation": 2}, True),
        ({"padding": (1, 0), "stride": (2, 1), "bias": None}, True),
        ({"padding": 1, "groups": 4}, False),
    ],
)
def test_filters_of_many_weights_run_with_the_channels_outermost(monkeypatch, options, outermost):
    x, weight, bias = images(2, 32, 3, 3), images(32, 32, 3, 3, seed=1), images(1, 1, 1, 32, seed=2).flatten()
    options = {"bias": bias, **options}
    weight = weight[:, : 32 // options.get("groups", 1)].contiguous().requires_grad_()
    formats = []
    conv2d = F.conv2d
    monkeypatch.setattr(F, "conv2d", lambda x, *a: formats.append(x.is_contiguous()) or conv2d(x, *a))
    ours = channels_last._conv2d(x.requires_grad_(), weight, **options)
    monkeypatch.undo()
    assert formats == [True] * outermost
    if not outermost:
        assert ours is None
        return
    theirs = conv2d(x, weight, **options)
    assert ours.is_contiguous()
    torch.testing.assert_close(ours, theirs)
    gradient = torch.randn_like(theirs)
    torch.testing.assert_close(
        torch.autograd.grad(ours, (x, weight), gradient), torch.autograd.grad(theirs, (x, weight), gradient)
    )


def test_nets_of_many_weights_equal_float64():
    net = nn.Sequential(nn.Conv2d(3, 32, 3, 4), nn.BatchNorm2d(32), nn.ReLU(), nn.Conv2d(32, 32, 3, padding=1))
    net.extend([nn.BatchNorm2d(32), nn.ReLU(), nn.Flatten(), nn.Linear(32 * 4, 3)])
    batch = images(4, 3, 9, 9), torch.arange(4) % 3
    got = score(net, batch, SIX)
    expected = score(net.double(), (batch[0].double(), batch[1]), SIX)
    assert {k: s.value for k, s in got.items()} == {k: pytest.approx(s.value, rel=1e-4) for k, s in expected.items()}


@pytest.mark.parametrize("stride", [2, (1, 3)])
@pytest.mark.parametrize("channels", [1, 3, 7, 8])
def test_strided_convolutions_of_one_position(channels, stride):
    net = nn.Sequential(nn.Conv2d(channels, 16, 1, stride), nn.ReLU(), nn.Flatten(), nn.LazyLinear(3))
    batch = images(6, channels, 12, 12), torch.arange(6) % 3
    net(batch[0])
    got = score(net, batch, ["grad_norm", "snip", "fisher", "jacob_cov"])
    expected = score(net.double(), (batch[0].double(), batch[1]), list(got))
    assert {k: s.value for k, s in got.items()} == {k: pytest.approx(s.value, rel=1e-4) for k, s in expected.items()}


class AsksForOrder(nn.Module):
    def __init__(self, ask):
        super().__init__()
        self.ask, self.conv, self.fc = ask, nn.Conv2d(3, 8, 3), nn.Linear(8, 3)

    def forward(self, x):
        x = self.conv(x)
        return self.fc(x.mean((2, 3))) * (2 if self.ask(x) else 1)


@pytest.mark.parametrize("ask", [torch.Tensor.is_contiguous, lambda x: x.dim_order() == (0, 1, 2, 3)])
def test_nets_that_ask_for_the_order_of_memory(ask):
    torch.manual_seed(0)
    check(AsksForOrder(ask), (torch.randn(6, 3, 8, 8), torch.arange(6) % 3))


@pytest.mark.parametrize("inplace", [False, True])
def test_alpha_dropout_has_one_mask_in_all_passes(inplace):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 6, 3), nn.AlphaDropout(0.5, inplace), nn.Tanh(), nn.Flatten(), nn.Linear(216, 5))
    inputs, targets = torch.randn(6, 3, 8, 8), torch.arange(6) % 5
    torch.manual_seed(1)
    got = score(net, (inputs, targets), ["grad_norm", "grasp", "fisher"])
    torch.manual_seed(1)
    loss = F.cross_entropy(net(inputs), targets)
    weights = [net[0].weight, net[4].weight]
    gradients = torch.autograd.grad(loss, weights, create_graph=True)
    products = torch.autograd.grad(sum(each.square().sum() for each in gradients) / 2, weights)
    assert got["grad_norm"].value == pytest.approx(sum(each.norm().item() for each in gradients), rel=1e-5)
    expected = -sum((w * each).sum().item() for w, each in zip(weights, products, strict=True))
    assert got["grasp"].value == pytest.approx(expected, rel=1e-4)
