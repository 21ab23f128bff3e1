"""swap, its relatives and linear_regions: the published codes' values and plain computations."""

import math

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F  # noqa: N812

from tests.golden import nets
from tests.golden.draws import inject
from tests.golden.modern_cases import CASES, build
from tests.proxies.example_nets import ResNet, image_batch, small_cnn
from zcfast.passes import Draws
from zcfast.proxies import reg_swap, swap
from zcfast.scoring import score

NAMES = [name for name in CASES if "swap" in CASES[name]["results"]]


def larger(batch, samples):
    shape = [samples, *batch[0].shape[1:]]
    return nets.make_input(shape), torch.zeros(samples, dtype=torch.int64)


def inner(net):
    return getattr(net, "net", net)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("name", NAMES)
def test_published_values(name, memory_format, monkeypatch):
    net, batch = build(name)
    inject(monkeypatch, net)
    published = {key: each["value"] for key, each in CASES[name]["results"].items()}
    for images, suffix in ((batch, ""), (larger(batch, 16), "_B16")):
        images = images[0].contiguous(memory_format=memory_format), images[1]
        as_is = swap(init="as_is")
        target = reg_swap(mu=published["params"] / 1000 + 0.5, sigma=2, repeats=1)
        proxies = [swap(repeats=1), as_is, "swap_universal", "linear_regions", target]
        found = {label: each.value for label, each in score(net, images, proxies).items()}
        assert found["swap(repeats=1)"] == published[f"swap{suffix}"]
        assert found["swap_universal"] == published[f"swap_universal_noinit{suffix}"]
        if not suffix:
            assert found[as_is.label] == published["swap_noinit"]
            assert found["linear_regions"] == published["linear_regions"]
            assert found[target.label] == pytest.approx(published["reg_swap_mu_P+0.5_sigma_2"], rel=1e-12)


def test_published_regions_of_small_pictures():
    net, _ = build("a_smallcnn")
    batch = nets.make_input([64, 3, 1, 1]), torch.zeros(64, dtype=torch.int64)
    published = CASES["a_smallcnn"]["results"]["linear_regions_64x3x1x1"]["value"]
    assert score(net, batch, ["linear_regions"])["linear_regions"].value == published


def test_published_value_of_linear_layers():
    net = nets.MLP().double()
    nets.fill(list(net.named_parameters()))
    batch = nets.make_input([8, 3, 4, 4]), nets.make_targets(8, 5)
    assert score(net, batch, ["swap_universal"])["swap_universal"].value == 32  # of the specification


def test_published_values_of_a_transformer():
    net, batch = build("g_tinyvit")
    published = CASES["g_tinyvit"]["results"]
    found = score(net, batch, ["swap_universal", "naswot"])
    assert found["swap_universal"].value == published["swap_universal_noinit"]["value"]
    assert found["naswot"].value == pytest.approx(published["nwot_gelu"]["value"], rel=1e-9)


class Functions(nn.Module):
    """Activations as functions, in place and in wrappers."""

    def __init__(self):
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(3 if place == 0 else 4, 4, 3, padding=1) for place in range(6))
        self.wrapped, self.linear = nn.Sequential(nn.Sequential(nn.SiLU(inplace=True))), nn.Linear(4, 5)

    def forward(self, x):
        for conv, function in zip(
            self.convs,
            [F.relu, lambda x: x.relu_(), F.gelu, self.wrapped, nn.ReLU6(), lambda x: F.leaky_relu(x, inplace=True)],
            strict=True,
        ):
            x = function(conv(x))
        return self.linear(F.relu(x.mean((2, 3))))


def outputs_of(net, inputs):
    """The outputs of the activations of `Functions`, by hand."""
    found, x = [], inputs
    functions = [F.relu, F.relu, F.gelu, F.silu, F.relu6, F.leaky_relu, F.relu]
    for conv, function in zip(net.convs, functions, strict=False):
        x = function(conv(x))
        found.append(x)
    return [*found, F.relu(x.mean((2, 3)))]


def patterns(outputs, *, whole):
    """By hand: one place after the other."""
    found = set()
    for output in outputs:
        if whole or output.dim() == 4:
            signs = output.sign() if whole else output > 0
            found |= {tuple(column) for column in signs.flatten(1).T.tolist()}
    return len(found)


@pytest.mark.parametrize("samples", [2, 7, 33, 65, 70])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_any_activation_counts_once(dtype, samples):
    torch.manual_seed(5)
    net, batch = Functions().to(dtype), image_batch(samples, dtype)
    with torch.no_grad():
        outputs = outputs_of(net, batch[0])
    found = score(net, batch, [swap(init="as_is"), "swap_universal", "naswot", "linear_regions", "snip"])
    assert found["swap(init='as_is')"].value == patterns(outputs, whole=False)
    assert found["swap_universal"].value == patterns(outputs, whole=True)
    signs = torch.cat([output.flatten(1) > 0 for output in outputs], 1)
    assert found["linear_regions"].value == len(signs.unique(dim=0))
    agree = (signs[:, None] == signs[None]).sum(2).double()
    expected = torch.linalg.slogdet(agree).logabsdet.item()
    assert found["naswot"].value == pytest.approx(expected, rel=1e-9)


def test_official_draws_by_hand():
    torch.manual_seed(5)
    net, batch = small_cnn().double(), image_batch(9)
    result = score(net, batch, [swap(repeats=3)], seed=4)["swap(repeats=3)"]
    counts = []
    for each in range(3):
        draws, outputs = Draws(4, "swap", each), []
        with torch.no_grad():
            for name, parameter in net.named_parameters():
                if parameter.dim() > 1:
                    parameter.copy_(draws.normal("weights", name, parameter.shape))
                else:
                    parameter.fill_(isinstance(net[int(name[0])], nn.BatchNorm2d) and name.endswith("weight"))
            x = batch[0]
            for layer in net:
                x = layer(x)
                if isinstance(layer, nn.ReLU):
                    outputs.append(x)
        counts.append(patterns(outputs, whole=False))
    assert result.value == pytest.approx(sum(counts) / 3)
    assert result.standard_error == pytest.approx(torch.tensor(counts).double().std().item() / math.sqrt(3))


def test_dtypes_and_formats_count_the_same():
    torch.manual_seed(5)
    net, batch = ResNet((1, 1, 1, 1), width=4, classes=5), image_batch(12)
    values = {
        score(net.to(dtype), (batch[0].to(dtype).contiguous(memory_format=form), batch[1]), [swap()])["swap"].value
        for dtype in (torch.float64,)
        for form in (torch.contiguous_format, torch.channels_last)
    }
    assert len(values) == 1


@pytest.mark.parametrize("name", ["swap", "swap_universal", "linear_regions", "naswot"])
def test_nets_without_activations(name):
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Tanh(), nn.Hardtanh(), nn.Sigmoid(), nn.Flatten(), nn.Linear(144, 5))
    result = score(net.double(), image_batch(), [name, "snip"])
    assert (result[name].status, result[name].reason) == ("undefined", "no activation ran that switches at zero")
    assert result["snip"].status == "ok"


@pytest.mark.parametrize("init", ["official", "as_is"])
def test_activations_without_maps(init):
    """As in a transformer: others count them, and the reason says which."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 8), nn.GELU(), nn.Linear(8, 5)).double()
    result = score(net, image_batch(), [swap(init=init), "swap_universal"])
    found, universal = result.values()
    assert (found.status, universal.status) == ("undefined", "ok")
    assert found.reason == "no activation put out maps [N, C, H, W]; swap_universal takes all others"


@pytest.mark.parametrize("name", ["swap", "swap_universal", "linear_regions"])
def test_one_sample(name):
    result = score(small_cnn(batchnorm=False).double(), image_batch(1), [name])[name]
    assert result.status == "undefined"
    assert "one sample" in result.reason


def test_wrong_options():
    with pytest.raises(ValueError, match="init: expected 'official' or 'as_is', got 'other'"):
        swap(init="other")
    with pytest.raises(ValueError, match="sigma: expected a number above 0, got 0"):
        reg_swap(mu=1, sigma=0)


@pytest.mark.parametrize("samples", [2, 23, 24, 25, 47, 48, 49, 63, 64, 97])
def test_patterns_of_many_samples(samples):
    """More than a word holds, with many places that differ in one sample alone."""
    torch.manual_seed(samples)
    inputs = torch.rand(samples, 2, 30, 30).double() + 0.1
    flipped = torch.randint(samples, (40,)), torch.randint(2, (40,)), torch.randint(30, (40,)), torch.randint(30, (40,))
    inputs[flipped] = torch.tensor([-1.0, 0.0]).double().repeat(20)
    net = nn.Sequential(nn.ELU(), nn.Flatten(), nn.Linear(1800, 3)).double()
    signs = F.elu(inputs).flatten(1).sign()
    found = score(net, (inputs, torch.arange(samples) % 3), [swap(init="as_is"), "swap_universal"])
    assert found["swap(init='as_is')"].value == len(torch.unique((signs > 0).T, dim=0))
    assert found["swap_universal"].value == len(torch.unique(signs.T, dim=0))
