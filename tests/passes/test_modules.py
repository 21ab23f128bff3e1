"""Nets of all kinds: what a layer's weight, output and gradient are in each."""

import math
import re

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F  # noqa: N812
from torch.nn.utils.parametrizations import orthogonal, spectral_norm, weight_norm
from torch.utils.checkpoint import checkpoint

from tests.proxies.example_nets import ANY_NET, Tokens, image_batch, small_cnn
from zcfast.images import random_images
from zcfast.ops import fisher_reduce, jacobian_correlation
from zcfast.passes import LossGradient
from zcfast.proxies import Proxy, base, fisher, register, registered
from zcfast.scoring import PAPER, score

ALL = ANY_NET


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(3)


def values(net, batch, proxies=ALL, **options):
    result = score(net, batch, proxies, **options)
    assert {name: (s.status, s.reason) for name, s in result.items()} == dict.fromkeys(result, ("ok", ""))
    return {name: s.value for name, s in result.items()}


def same(one, other, rel=1e-12):
    assert one == {name: pytest.approx(value, rel=rel) for name, value in other.items()}


@pytest.mark.parametrize("batchnorm", [True, False])
def test_inplace_activations_change_nothing(batchnorm):
    net, inplace = small_cnn(batchnorm).double(), small_cnn(batchnorm, inplace=True).double()
    inplace.load_state_dict(net.state_dict())
    same(values(inplace, image_batch()), values(net, image_batch()))


class Functional(nn.Module):
    """Overwrites the output of a layer without a module that says so."""

    def __init__(self, inplace):
        super().__init__()
        self.conv, self.fc, self.inplace = nn.Conv2d(3, 4, 3), nn.Linear(144, 5), inplace

    def forward(self, x):
        x = self.conv(x)
        x = F.silu(x, inplace=self.inplace)
        return self.fc(x.flatten(1))


def test_functional_inplace_activation():
    net, inplace = Functional(False).double(), Functional(True).double()
    inplace.load_state_dict(net.state_dict())
    same(values(inplace, image_batch()), values(net, image_batch()))


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.unused, self.head = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x):
        return self.head(F.silu(self.layer(F.silu(self.layer(x)))))


def test_a_module_called_twice_adds_and_an_unused_one_is_zero():
    net, inputs, targets = Twice().double(), torch.randn(6, 4, dtype=torch.float64), torch.arange(6) % 3
    result = score(net, (inputs, targets), ALL, per_layer=True)
    weight = net.layer.weight.detach()

    def loss(first, second):
        inner = F.silu(F.linear(inputs, first, net.layer.bias))
        outer = F.silu(F.linear(inner, second, net.layer.bias))
        return F.cross_entropy(net.head(outer), targets)

    gradients = torch.func.grad(loss, argnums=(0, 1))(weight, weight)
    gradient = gradients[0] + gradients[1]
    assert result["snip"].layer_names == ("layer", "unused", "head")
    assert result["snip"].per_layer[0].item() == pytest.approx((weight * gradient).abs().sum().item(), rel=1e-12)
    assert result["grad_norm"].per_layer[0].item() == pytest.approx(gradient.norm().item(), rel=1e-12)
    assert result["flops"].per_layer.tolist() == [32, 0, 12]
    for name in ("grad_norm", "snip", "plain", "grasp", "fisher", "synflow"):
        assert result[name].per_layer[1].item() == 0
    assert result["fisher"].per_layer[0].item() == pytest.approx(fisher_of_two_calls(net, inputs, targets), rel=1e-12)


def fisher_of_two_calls(net, inputs, targets):
    first = net.layer(inputs)
    second = net.layer(F.silu(first))
    loss = F.cross_entropy(net.head(F.silu(second)), targets)
    gradients = torch.autograd.grad(loss, [first, second])
    sums = [fisher_reduce(a, g, 1).sum() for a, g in zip((first, second), gradients, strict=True)]
    return 4 * sum(sums).item()


@pytest.mark.parametrize("norm", [weight_norm, orthogonal])
def test_parametrized_layers_count_their_effective_weight(norm):
    plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5)).double()
    normed = nn.Sequential(norm(nn.Conv2d(3, 4, 3)), nn.ReLU(), nn.Flatten(), norm(nn.Linear(144, 5)))
    normed.double()
    for index in (0, 3):
        with torch.no_grad():
            plain[index].weight.copy_(normed[index].weight)
            plain[index].bias.copy_(normed[index].bias)
    proxies = [name for name in ALL if name != "params"]
    same(values(normed, image_batch(), proxies), values(plain, image_batch(), proxies))


def test_spectral_norm_is_one_weight_for_all_passes():
    net = nn.Sequential(spectral_norm(nn.Conv2d(3, 4, 3)), nn.Flatten(), nn.Linear(144, 5)).double()
    first = values(net, image_batch())
    assert values(net, image_batch()) == first


def test_old_weight_norm_is_refused_by_name():
    with pytest.warns(FutureWarning):
        net = nn.Sequential(nn.utils.weight_norm(nn.Linear(4, 3)))
    with pytest.raises(ValueError, match=r"module: .*'0'.*torch\.nn\.utils\.parametrizations"):
        score(net, (torch.randn(3, 4), torch.arange(3)))


def test_lazy_layers_are_refused():
    with pytest.raises(ValueError, match="lazy"):
        score(nn.Sequential(nn.LazyLinear(3)), (torch.randn(3, 4), torch.arange(3)))


def test_frozen_parameters_count():
    net = small_cnn().double()
    expected = values(net, image_batch())
    net.requires_grad_(False)
    frozen = values(net, image_batch())
    assert frozen.pop("params") == 0
    expected.pop("params")
    same(frozen, expected)


def test_channels_last():
    net = small_cnn().double()
    expected = values(net, image_batch())
    inputs, targets = image_batch()
    last = values(net.to(memory_format=torch.channels_last), (inputs.to(memory_format=torch.channels_last), targets))
    same(last, expected, rel=1e-10)


@pytest.mark.parametrize(("dtype", "rel"), [(torch.float32, 1e-3), (torch.bfloat16, 0.3)])
def test_dtypes(dtype, rel):
    net = small_cnn(batchnorm=False).to(dtype)
    low = values(net, image_batch(dtype=dtype), PAPER)
    inputs, targets = image_batch(dtype=dtype)
    high = values(net.double(), (inputs.double(), targets), PAPER)
    assert low.pop("synflow") == high.pop("synflow")  # always in float64
    low.pop("jacob_cov"), high.pop("jacob_cov")  # its 1/(v + k) magnifies rounding
    same(low, high, rel=rel)


class Wrapped(nn.Module):
    def __init__(self, net, wrap):
        super().__init__()
        self.net, self.wrap = net, wrap

    def forward(self, x):
        return self.wrap(self.net(x))


class Output:
    def __init__(self, logits):
        self.loss, self.logits = None, logits


@pytest.mark.parametrize(
    "wrap",
    [
        lambda y: (y, y.exp()),
        lambda y: [y],
        lambda y: {"logits": y, "extra": y.exp()},
        lambda y: {"out": y},
        Output,
    ],
)
def test_outputs_with_logits_inside(wrap):
    net = small_cnn().double()
    same(values(Wrapped(net, wrap), image_batch()), values(net, image_batch()))


def test_logits_by_callable():
    net = small_cnn().double()
    wrapped = Wrapped(net, lambda y: (y.exp(), y))
    same(values(wrapped, image_batch(), logits=lambda output: output[1]), values(net, image_batch()))


def test_any_loss():
    net = small_cnn().double()
    inputs, targets = image_batch()
    probabilities = F.one_hot(targets, 5).double()
    same(values(net, (inputs, probabilities)), values(net, (inputs, targets)))
    squares = score(net, (inputs, torch.randn(6, 5, dtype=torch.float64)), ["snip"], loss_fn=F.mse_loss)["snip"]
    assert squares.status == "ok"
    assert squares.protocol.loss == "mse_loss"


def test_tokens():
    net, tokens = Tokens().double(), torch.randint(11, (6, 7))
    result = values(net, (tokens, torch.arange(6) % 3))
    word = net.word(tokens).detach().requires_grad_()
    hidden = net.encoder(net.position(torch.arange(7))[None] + word)
    (jacobian,) = torch.autograd.grad(net.head(hidden.mean(1)).sum(), word)
    assert result["jacob_cov"] == pytest.approx(jacobian_correlation(jacobian.flatten(1)).item(), rel=1e-9)


def test_integers_without_embedding_fail_where_an_input_is_needed():
    class Cast(nn.Sequential):
        def forward(self, x):
            return super().forward(x.double())

    result = score(Cast(nn.Linear(4, 3)).double(), (torch.randint(9, (6, 4)), torch.arange(6) % 3), ALL)
    failed = {name for name, s in result.items() if s.status != "ok"}
    assert failed == {"jacob_cov", "synflow", "synflow_bn"}
    assert all("nn.Embedding" in result[name].reason for name in failed)


class Checkpointed(nn.Module):
    def __init__(self, reentrant):
        super().__init__()
        self.net, self.reentrant = small_cnn(batchnorm=False, inplace=True), reentrant

    def forward(self, x):
        return self.net[6:](checkpoint(self.net[:6], x, use_reentrant=self.reentrant))


def test_checkpointing():
    net = Checkpointed(reentrant=False).double()
    same(values(net, image_batch()), values(net.net, image_batch()))


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
def test_reentrant_checkpointing_is_refused():
    result = score(Checkpointed(reentrant=True).double(), image_batch(), ALL)
    assert {name for name, s in result.items() if s.status == "ok"} == {"params", "l2_norm", "flops", "multiply_adds"}
    assert all("use_reentrant=False" in s.reason for s in result.values() if s.status != "ok")


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn, self.head = nn.LSTM(4, 5, batch_first=True), nn.Linear(5, 3)

    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1])


def test_recurrent_net():
    net, batch = Recurrent().double(), (torch.randn(6, 4, 4, dtype=torch.float64), torch.arange(6) % 3)
    result = score(net, batch, ALL)
    assert all(s.status == "ok" for name, s in result.items() if name != "grasp"), result
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.abs_()
    inputs = torch.ones(1, 4, 4, dtype=torch.float64)
    (gradient,) = torch.autograd.grad(net(inputs).sum(), net.head.weight)
    assert result["synflow"].value == pytest.approx((net.head.weight * gradient).sum().item(), rel=1e-12)


def test_attention_has_a_second_derivative():
    net = Tokens().double()
    assert score(net, (torch.randint(11, (4, 5)), torch.arange(4) % 3), ["grasp"])["grasp"].status == "ok"


@pytest.mark.parametrize("dims", [1, 3])
def test_convolutions_of_other_dimensions(dims):
    conv = {1: nn.Conv1d, 3: nn.Conv3d}[dims]
    norm = {1: nn.BatchNorm1d, 3: nn.BatchNorm3d}[dims]
    net = nn.Sequential(conv(2, 4, 3, padding=1), norm(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 5**dims, 3)).double()
    batch = torch.randn(5, 2, *[5] * dims, dtype=torch.float64), torch.arange(5) % 3
    result = values(net, batch)
    assert result["flops"] == 4 * 2 * 3**dims * 5**dims + 4 * 5**dims * 3
    published = score(net, batch, ["l2_norm"], layers=(nn.Conv2d, nn.Linear), per_layer=True)["l2_norm"]
    assert published.layer_names == ("4",)


def test_fisher_options():
    net, batch = small_cnn(batchnorm=False).double(), image_batch()
    options = [fisher(weighting=w, aggregation=a) for w in ("weights", "channel") for a in ("spatial", "elementwise")]
    result = score(net, batch, options, per_layer=True)
    labels = [proxy.label for proxy in options]
    assert labels[0] == "fisher"
    assert labels[3] == "fisher(weighting='channel', aggregation='elementwise')"
    per_channel = torch.tensor([27, 36, 6])
    for spatial in (0, 1):
        weights, channel = result[labels[spatial]].per_layer, result[labels[2 + spatial]].per_layer
        assert torch.allclose(weights, per_channel * channel, rtol=1e-12)
    with pytest.raises(ValueError, match="weighting"):
        fisher(weighting="pixel")
    with pytest.raises(ValueError, match="aggregation"):
        fisher(aggregation="mean")


class Unbatched(nn.Module):
    """Layers called on single samples, as torch allows."""

    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Linear(144, 5)

    def forward(self, x):
        return torch.stack([self.head(F.silu(self.conv(image)).flatten()) for image in x])


class Batched(Unbatched):
    def forward(self, x):
        return self.head(F.silu(self.conv(x)).flatten(1))


def test_layers_called_on_single_samples():
    net, batched = Unbatched().double(), Batched().double()
    batched.load_state_dict(net.state_dict())
    result = score(net, image_batch(), ALL)
    failed = result.pop("fisher")
    assert (failed.status, "'conv' is called on single samples" in failed.reason) == ("undefined", True)
    proxies = [name for name in ALL if name != "fisher"]
    same({name: one.value for name, one in result.items()}, values(batched, image_batch(), proxies), rel=1e-9)


def test_layers_on_no_samples_and_without_outputs_have_no_part():
    class Choice(nn.Sequential):
        def forward(self, x):
            return self[1](self[0](x[:0]).sum() + x)

    net = Choice(nn.Linear(4, 3), nn.Linear(4, 3)).double()
    batch = torch.randn(5, 4, dtype=torch.float64), torch.arange(5) % 3
    assert score(net, batch, ["fisher"], per_layer=True)["fisher"].per_layer[0] == 0
    empty = nn.Sequential(nn.Linear(4, 0), nn.Linear(0, 3)).double()
    assert score(empty, batch, ["fisher"], per_layer=True)["fisher"].per_layer[0] == 0


def test_layers_that_put_out_something_else():
    class Pairs(nn.Linear):
        def forward(self, x):
            return super().forward(x), x

    class Flat(nn.Conv2d):
        def forward(self, x):
            return super().forward(x).flatten(1)

    for layer, came in ((Pairs(192, 5), "tuple"), (Flat(3, 5, 8), r"\(6, 5\)")):
        net = nn.Sequential(nn.Flatten() if came == "tuple" else nn.Identity(), layer).double()
        one = score(net, image_batch(), ["snip"])["snip"]
        assert one.status == "failed"
        assert re.search(f"layer '1' puts out no tensor .*: {came}", one.reason)


def test_train_false_uses_running_statistics():
    net = small_cnn().double().eval()
    train, kept = (score(net, image_batch(), ["snip"], train=t)["snip"] for t in (True, False))
    assert train.value != kept.value
    assert (train.protocol.train, kept.protocol.train) == (True, False)


def test_a_dead_net_has_a_value_or_a_reason_for_each_proxy():
    class Dead(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, 5)

        def forward(self, x):
            return self.head(self.conv(x).mul(0.0).mean((2, 3)))

    result = score(Dead().double(), image_batch(), ALL)
    assert result["synflow"].value == 0
    assert result["synflow"].log_value == -math.inf
    for name in ("grad_norm", "snip", "plain", "grasp"):
        assert result[name].value == 0
    assert result["fisher"].value > 0  # the classifier's outputs still move the loss, through its bias
    assert math.isnan(result["jacob_cov"].value)
    assert (result["jacob_cov"].status, "constant" in result["jacob_cov"].reason) == ("undefined", True)


def test_a_proxy_of_ones_own(monkeypatch):
    monkeypatch.setattr(base, "_REGISTRY", dict(base._REGISTRY))

    class HalfSquare(Proxy):
        name, source, needs = "half_square", "this test", (LossGradient,)

        def layerwise(self, results):
            return results[LossGradient].saliency("square") / 2

    net = small_cnn().double()
    result = score(net, image_batch(), [HalfSquare(), "grad_norm"], per_layer=True)
    assert torch.allclose(result["half_square"].per_layer, result["grad_norm"].per_layer ** 2 / 2)
    register(HalfSquare)
    assert registered()["half_square"] is HalfSquare
    register(HalfSquare)  # as a cell of a notebook that runs again
    assert registered()["half_square"] is HalfSquare


def test_a_minibatch_as_the_readers_give_it():
    batch, net = random_images(4, (3, 8, 8), 3, 0), small_cnn()
    assert score(net, batch, ["snip"])["snip"].value == score(net, tuple(batch), ["snip"])["snip"].value
