"""vkdnw: the published code's values, a plain computation, and where it has none."""

import copy
import math

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F  # noqa: N812
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.golden.draws import inject
from tests.golden.modern_cases import CASES, build, values
from tests.proxies.example_nets import Tokens, image_batch, small_cnn
from zcfast.passes import Draws, fisher_spectrum
from zcfast.proxies import vkdnw_entropy
from zcfast.scoring import score


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("name", [name for name, _ in values("vkdnw")])
def test_published_values(name, memory_format, monkeypatch):
    net, (inputs, targets) = build(name)
    inject(monkeypatch, net)
    found = score(
        net, (inputs.contiguous(memory_format=memory_format), targets), ["vkdnw_dim", "vkdnw_entropy", "vkdnw"]
    )
    published = CASES[name]["results"]["vkdnw"]["value"]
    assert found["vkdnw_dim"].value == published["vkdnw_dim"]
    assert found["vkdnw_entropy"].value == pytest.approx(published["vkdnw_entropy"], rel=1e-6)
    assert found["vkdnw"].value == published["vkdnw_dim"] + found["vkdnw_entropy"].value / 3


def plainly(net, inputs, logits=lambda out: out):
    """All derivatives by autograd, the factor by the definition of Cholesky's, the matrix entry by entry."""
    copied = copy.deepcopy(net).double().eval()
    parameters = list(copied.parameters())[:128]
    total = 0
    for n in range(len(inputs)):
        row = logits(copied(inputs[n : n + 1]))[0]
        jacobian = torch.stack(
            [
                torch.stack(
                    [
                        torch.zeros((), dtype=row.dtype) if g is None else g.flatten()[0]
                        for g in torch.autograd.grad(each, parameters, retain_graph=True, allow_unused=True)
                    ]
                )
                for each in row
            ]
        )
        alpha = torch.tensor(0.05).half()
        p = row.detach().softmax(0) * float(1 - alpha) + float(alpha / len(row))
        covariance = torch.diag(p) - torch.outer(p, p)
        factor = torch.zeros_like(covariance)  # p sums to 1.0002, so that the last pivot is not 0: it is left out
        factor[:-1, :-1] = torch.linalg.cholesky(covariance[:-1, :-1])
        factor[-1, :-1] = torch.linalg.solve(factor[:-1, :-1], covariance[:-1, -1])
        z = factor @ jacobian
        total = total + z.T @ z / len(inputs)
    values = torch.quantile(torch.linalg.svdvals(total), torch.arange(1, 10).double() / 10)
    shares = values / values.sum()
    return -(shares * (shares + 1e-10).log()).sum().item()


@settings(max_examples=12, deadline=None)
@given(samples=st.integers(1, 6), width=st.integers(1, 5), classes=st.integers(2, 5), seed=st.integers(0, 99))
def test_against_a_plain_computation(samples, width, classes, seed):
    torch.manual_seed(seed)
    net = nn.Sequential(
        *(nn.Conv2d(3, width, 3), nn.BatchNorm2d(width), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        *(nn.Linear(width, 4), nn.LayerNorm(4), nn.GELU(), nn.Dropout(0.5), nn.Linear(4, classes)),
    ).double()
    net[1].running_mean.normal_()
    inputs, targets = image_batch(samples, classes=classes)
    found = score(net, (inputs, targets), [vkdnw_entropy(init="as_is")])
    (result,) = found.values()
    assert result.value == pytest.approx(plainly(net, inputs), rel=1e-6)


def test_rounds_with_drawn_weights():
    net, (inputs, targets) = small_cnn().double(), image_batch(4)
    (result,) = score(net, (inputs, targets), [vkdnw_entropy(repeats=2)], seed=3).values()
    rounds = []
    for each in range(2):
        draws, drawn = Draws(3, "vkdnw", each), copy.deepcopy(net)
        with torch.no_grad():
            for name, parameter in drawn.named_parameters():
                if parameter.dim() > 1:
                    deviation = math.sqrt(2 / parameter.shape[1:].numel())
                    parameter.copy_(draws.normal("weights", name, parameter.shape)).mul_(deviation)
                else:
                    parameter.fill_(name in ("1.weight", "5.weight"))
        rounds.append(plainly(drawn, inputs))
    assert result.value == pytest.approx(sum(rounds) / 2, rel=1e-6)
    assert result.standard_error == pytest.approx(abs(rounds[0] - rounds[1]) / 2, rel=1e-5)


def test_tokens_and_tied_weights():
    torch.manual_seed(0)
    net, tokens = Tokens().double(), torch.randint(11, (3, 5))
    found = score(net, (tokens, torch.arange(3)), [vkdnw_entropy(init="as_is"), "vkdnw_dim"])
    expected = plainly(net, tokens, lambda out: out["logits"])
    assert found["vkdnw_entropy(init='as_is')"].value == pytest.approx(expected, rel=1e-6)
    assert found["vkdnw_dim"].value == len(list(net.parameters()))
    net.encoder.linear2.weight = nn.Parameter(net.encoder.linear1.weight.detach().T.clone())
    net.position.weight = net.word.weight = nn.Parameter(net.word.weight.detach()[:11])
    found = score(net, (tokens, torch.arange(3)), [vkdnw_entropy(init="as_is"), "vkdnw_dim"])
    expected = plainly(net, tokens, lambda out: out["logits"])
    assert found["vkdnw_entropy(init='as_is')"].value == pytest.approx(expected, rel=1e-6)
    assert found["vkdnw_dim"].value == len(list(net.parameters()))


def test_batchnorm_without_statistics_takes_those_of_a_new_one():
    torch.manual_seed(0)
    net = small_cnn().double()
    found = [score(each, image_batch(4), ["vkdnw_entropy"])["vkdnw_entropy"].value for each in (net, _without(net))]
    assert found[0] == pytest.approx(found[1], rel=1e-9)


def _without(net):
    net = copy.deepcopy(net)
    for child in net.modules():
        if isinstance(child, nn.BatchNorm2d):
            child.track_running_stats, child.running_mean, child.running_var = False, None, None
    return net


def test_modes_come_back():
    net = small_cnn().double()
    net[1].eval()
    score(net, image_batch(4), ["vkdnw", "snip"])
    assert [net.training, net[1].training, net[5].training] == [True, False, True]
    assert net[1].num_batches_tracked == 0


NONE = {
    "logits of maps": (lambda: nn.Sequential(nn.Conv2d(3, 5, 3)), "logits [N, classes] are needed"),
    "no logit moves": (lambda: _Constant(), "move no logit"),
    "not finite": (lambda: _scaled(math.inf), "not finite"),
}


class _Constant(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(192, 5)

    def forward(self, x):
        return self.layer(x.flatten(1)) * 0


def _scaled(factor):
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 5))
    net.register_forward_hook(lambda module, args, output: output * factor)
    return net


@pytest.mark.parametrize("kind", NONE)
def test_nets_without_a_value(kind):
    make, reason = NONE[kind]
    result = score(make().double(), image_batch(3), ["vkdnw", "params"])
    assert (result["vkdnw"].status, reason in result["vkdnw"].reason) == ("undefined", True), result["vkdnw"].reason
    assert result["params"].status == "ok"


class Grouped(nn.Module):
    """Convolutions of every lie, norms of tokens, and a middle of one's own."""

    def __init__(self, middle):
        super().__init__()
        lie = {"stride": (2, 1), "padding": (1, 2), "dilation": (1, 2), "groups": 2}
        self.first, self.second = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 4, (3, 2), **lie)
        self.norm, self.free, self.tokens = nn.BatchNorm2d(6), nn.BatchNorm2d(6, affine=False), nn.LayerNorm(4)
        self.inner, self.head, self.middle = nn.Linear(4, 4, bias=False), nn.Linear(4, 3), middle

    def forward(self, x):
        x = self.second(F.silu(self.norm(self.free(self.first(x)))))
        x = self.inner(self.tokens(x.flatten(2).transpose(1, 2)))
        return self.head(self.middle(self, x).mean(1))


MIDDLES = {
    "each sample by itself": (lambda net, x: F.gelu(x), True),
    "dropout that is off": (lambda net, x: F.dropout(x, 0.5, net.training), True),
    "samples that see each other": (lambda net, x: x - x.mean(0) / 2, False),
    "samples that see each other in the middle": (
        lambda net, x: torch.cat([x[:1], x[1:-1] - x[1:-1].mean(0) / 2, x[1:][-1:]]),
        False,
    ),
    "drop path": (lambda net, x: x * x.new_empty(len(x), 1, 1).bernoulli_(1 - 1e-9), False),
    "a branch": (lambda net, x: x.relu() if x.sum() > 0 else x.tanh(), False),
    "a layer twice": (lambda net, x: net.inner(x), False),
    "a parameter elsewhere": (lambda net, x: x * net.head.bias.sum(), False),
}


@pytest.mark.parametrize("kind", MIDDLES)
def test_all_samples_at_once_only_where_that_is_the_same(kind, monkeypatch):
    torch.manual_seed(0)
    middle, together = MIDDLES[kind]
    net, (inputs, targets) = Grouped(middle).double(), image_batch(5, classes=3)
    alone, of_one = [], fisher_spectrum._of_one
    monkeypatch.setattr(fisher_spectrum, "_of_one", lambda net, part: alone.append(part) or of_one(net, part))
    (result,) = score(net, (inputs, targets), [vkdnw_entropy(init="as_is")]).values()
    assert result.value == pytest.approx(plainly(net, inputs), rel=1e-6)
    assert len(alone) == (3 if together else 5)


def test_images_with_their_channels_innermost(monkeypatch):
    torch.manual_seed(0)
    net = nn.Sequential(
        *(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.AvgPool2d(3, 1, 1), nn.Conv2d(6, 4, 3, 2, 1)),
        *(nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5)),
    )
    inputs, targets = image_batch(9)
    alone, of_one = [], fisher_spectrum._of_one
    monkeypatch.setattr(fisher_spectrum, "_of_one", lambda net, part: alone.append(part) or of_one(net, part))
    (result,) = score(net, (inputs.float(), targets), [vkdnw_entropy(init="as_is")]).values()
    assert result.value == pytest.approx(plainly(net, inputs), rel=2e-3)
    assert len(alone) == 3
