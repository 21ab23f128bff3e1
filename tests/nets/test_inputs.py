"""Nets of several inputs, in order or by keyword: each score is that of its formula, whatever form the inputs have."""

import copy
import math
from collections import UserDict, namedtuple

import pytest
import torch
import torch.nn as nn

from tests.proxies.example_nets import Tokens, image_batch, small_cnn
from tests.proxies.plain_torch import ALL, evaluate
from zcfast.passes import Pass
from zcfast.proxies import Proxy, registered
from zcfast.scoring import score

pytestmark = pytest.mark.usefixtures("one_thread")
N = 6
TARGETS = torch.arange(N) % 3


class TwoInputs(nn.Module):
    """Pictures [N, 3, 8, 8] and measurements [N, 5]."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.side, self.relu, self.head = nn.Linear(5, 4), nn.ReLU(), nn.Linear(8, 3)

    def forward(self, pictures, measured):
        seen = self.relu(self.norm(self.conv(pictures))).mean((2, 3))
        return self.head(torch.cat([seen, self.relu(self.side(measured))], 1))


class OneInput(nn.Module):
    """The same with both inputs side by side in one tensor."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(x[:, :192].unflatten(1, (3, 8, 8)), x[:, 192:])


class Masked(nn.Module):
    """One layer of attention that looks where a mask says so."""

    def __init__(self):
        super().__init__()
        self.word, self.qkv, self.head = nn.Embedding(11, 8), nn.Linear(8, 24), nn.Linear(8, 3)

    def forward(self, tokens, attention_mask):
        x = self.word(tokens)
        q, k, v = self.qkv(x).chunk(3, -1)
        weights = (q @ k.transpose(1, 2) / 8**0.5).masked_fill(~attention_mask.bool()[:, None], -torch.inf).softmax(-1)
        return self.head(((weights @ v + x) * attention_mask[..., None]).sum(1))


class MaskInside(nn.Module):
    """The same with the mask as its own."""

    def __init__(self, net, mask):
        super().__init__()
        self.net, self.mask = net, mask

    def forward(self, tokens):
        return self.net(tokens, self.mask)


class Output:
    """What a model of a library returns."""

    def __init__(self, scores):
        self.scores, self.hidden = scores, scores.exp()


class ByKeyword(Masked):
    """A model of a library, whose inputs are keywords."""

    def forward(self, *, input_ids, attention_mask=None):
        return Output(super().forward(input_ids, attention_mask))


def two_inputs(dtype=torch.float64):
    torch.manual_seed(0)
    net = TwoInputs().to(dtype)
    return net, (torch.randn(N, 3, 8, 8, dtype=dtype), torch.randn(N, 5, dtype=dtype))


def masked(kind=Masked, dtype=torch.float64):
    torch.manual_seed(1)
    net, tokens = kind().to(dtype), torch.randint(11, (N, 7))
    return net, (tokens, torch.arange(7) < torch.tensor([7, 3, 5, 6, 2, 4])[:, None])


ANY = tuple(registered())


def values(net, inputs, names=ANY, **options):
    scored = score(net, (inputs, TARGETS), list(names), **options)
    return {name: each.value for name, each in scored.items()}


def correlation(rows):
    eigenvalues = torch.linalg.eigvalsh(torch.corrcoef(rows))
    return -(torch.log(eigenvalues + 1e-5) + 1 / (eigenvalues + 1e-5)).sum().item()


def flow(net, run):
    """The sum of |W dR/dW| of a copy whose parameters are positive and whose BatchNorms are gone."""
    positive = copy.deepcopy(net).double()
    for name, child in positive.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(positive, name, nn.Identity())
    for parameter in positive.parameters():
        parameter.data.abs_()
    layers = [child for child in positive.modules() if isinstance(child, (nn.Linear, nn.Conv2d))]
    gradients = torch.autograd.grad(run(positive).sum(), [layer.weight for layer in layers])
    return sum((layer.weight * g).abs().sum().item() for layer, g in zip(layers, gradients, strict=True))


def agree(found, expected, rel=1e-9):
    for name, value in expected.items():
        assert math.isclose(found[name], value, rel_tol=rel), (name, found[name], value)


@pytest.mark.parametrize("form", ["tuple", "list", "dict"])
@pytest.mark.parametrize(("dtype", "rel"), [(torch.float64, 1e-9), (torch.float32, 1e-3)])
def test_two_floating_inputs(form, dtype, rel):
    net, (pictures, measured) = two_inputs(dtype)
    given = {
        "tuple": (pictures, measured),
        "list": [pictures, measured],
        "dict": {"measured": measured, "pictures": pictures},
    }[form]
    found = values(net, given)
    joined = OneInput(copy.deepcopy(net).double()), torch.cat([pictures.flatten(1), measured], 1).double()
    agree(found, evaluate(joined[0], (joined[1], TARGETS), ALL), rel)
    ones = torch.ones(1, 3, 8, 8).double(), torch.ones(1, 5).double()
    agree(found, {"synflow": flow(net, lambda positive: positive(*ones))}, rel)
    agree(found, values(*joined, ["naswot", "multiply_adds", "synflow_bn"]), rel)


@pytest.mark.parametrize("mask", [torch.bool, torch.int64])
def test_tokens_with_a_mask(mask):
    net, (tokens, attention_mask) = masked()
    attention_mask = attention_mask.to(mask)
    found = values(net, (tokens, attention_mask))
    inside = MaskInside(net, attention_mask)
    names = [name for name in ALL if name != "jacob_cov"]
    agree(found, evaluate(inside, (tokens, TARGETS), names))
    agree(found, values(inside, tokens, ["jacob_cov", "multiply_adds"]))

    embedded = net.word(tokens).detach().requires_grad_()
    tapped = copy.deepcopy(net)
    tapped.word.register_forward_hook(lambda *_: embedded)
    (rows,) = torch.autograd.grad(tapped(tokens, attention_mask).sum(), [embedded])
    agree(found, {"jacob_cov": correlation(rows.flatten(1))})

    def of_ones(positive):
        positive.word.register_forward_hook(lambda module, args, out: torch.ones_like(out))
        return positive(tokens[:1], attention_mask[:1])

    agree(found, {"synflow": flow(net, of_ones)})


@pytest.mark.parametrize("container", [dict, UserDict])
def test_by_keyword(container):
    net, (tokens, mask) = masked(ByKeyword)
    expected = values(masked()[0], (tokens, mask))
    given = container(input_ids=tokens, attention_mask=mask)
    found = values(net, given, logits=lambda output: output.scores)
    assert {name for name, value in found.items() if value == value} >= {"snip", "jacob_cov", "synflow", "fisher"}
    assert found == pytest.approx(expected, nan_ok=True, rel=1e-12)
    assert list(given) == ["input_ids", "attention_mask"]


def test_two_inputs_of_tokens():
    """The ones of synflow and the derivative are at the embedding of each."""

    class Pair(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.head = nn.Embedding(11, 8), nn.Linear(16, 3)

        def forward(self, question, answer):
            return self.head(torch.cat([self.embed(question).mean(1), self.embed(answer).mean(1)], 1).tanh())

    torch.manual_seed(3)
    net = Pair().double()
    for given in torch.randint(11, (2, N, 4)).unbind(), (torch.arange(N)[:, None].expand(N, 4),) * 2:  # also equal ones
        points = [net.embed(each).detach().requires_grad_() for each in given]
        output = net.head(torch.cat([point.mean(1) for point in points], 1).tanh())
        rows = torch.autograd.grad(output.sum(), points)
        found = values(net, given, ["jacob_cov", "synflow"])
        agree(found, {"jacob_cov": correlation(torch.cat([each.flatten(1) for each in rows], 1))})
        agree(found, {"synflow": net.head.weight.abs().sum().item() * math.tanh(1)})


def test_tokens_beside_numbers():
    """The Jacobian has columns of both, and synflow ones in both."""

    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.side, self.head = nn.Embedding(11, 4), nn.Linear(5, 4), nn.Linear(4, 3)

        def forward(self, tokens, measured):
            return self.head(self.embed(tokens).mean(1) * self.side(measured))

    torch.manual_seed(4)
    net, tokens, measured = Mixed().double(), torch.randint(11, (N, 4)), torch.randn(N, 5).double()
    points = [measured.clone().requires_grad_(), net.embed(tokens).detach().requires_grad_()]
    rows = torch.autograd.grad(net.head(points[1].mean(1) * net.side(points[0])).sum(), points)
    found = values(net, (tokens, measured), ["jacob_cov", "synflow"])
    agree(found, {"jacob_cov": correlation(torch.cat([each.flatten(1) for each in rows], 1))})
    agree(found, {"synflow": flow(net, lambda positive: positive.head(positive.side(torch.ones(1, 5).double())))})


@pytest.mark.parametrize("form", [lambda x: (x,), lambda x: [x], lambda x: {"input": x}])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_form_moves_no_digit(form, dtype):
    net, (images, targets) = small_cnn().to(dtype), image_batch()
    images = images.to(dtype)
    names = list(registered())
    first, again = (score(net, (each, targets), names) for each in (images, form(images)))
    assert [repr(each.value) for each in first.values()] == [repr(each.value) for each in again.values()]
    if not isinstance(form(images), dict):
        assert [each.protocol for each in first.values()] == [each.protocol for each in again.values()]


def test_protocol_has_each_shape():
    net, (pictures, measured) = two_inputs()
    (found,) = score(net, ((pictures, measured), TARGETS), ["params"]).values()
    assert (found.protocol.batch_size, found.protocol.input_shape) == (N, ((3, 8, 8), (5,)))
    given = {"measured": measured, "pictures": pictures}
    (found,) = score(net, (given, TARGETS), ["params"]).values()
    assert found.protocol.input_shape == (("measured", (5,)), ("pictures", (3, 8, 8)))
    hash(found.protocol)


def test_the_callers_containers_stay():
    class Greedy(TwoInputs):
        def forward(self, **inputs):
            inputs["measured"].mul_(2)
            output = super().forward(**inputs)
            inputs.clear()
            return output

    torch.manual_seed(0)
    net, (pictures, measured) = Greedy().double(), two_inputs()[1]
    given, copies = {"pictures": pictures, "measured": measured}, (pictures.clone(), measured.clone())
    names = ["snip", "grasp", "jacob_cov", "fisher"]
    twice = {"pictures": pictures, "measured": 2 * measured}
    found, expected = values(net, given, names), values(two_inputs()[0], twice, names)
    assert found.pop("jacob_cov") != expected.pop("jacob_cov")  # by the inputs before they double
    assert found == pytest.approx(expected, rel=1e-12)
    assert list(given) == ["pictures", "measured"]
    assert given["pictures"] is pictures
    assert given["measured"] is measured
    assert all(map(torch.equal, (pictures, measured), copies))
    assert not pictures.requires_grad


def test_own_passes_get_all_inputs_and_harm_none():
    class Spoils(Pass):
        def run(self, net, batch, done):
            loss = sum(half.loss_of(net.forward(half.inputs)) for half in batch.split(2)).item()
            assert [each.samples for each in batch.split(2)] == [N // 2] * 2
            for each in batch.inputs:
                each.zero_()
            return loss

    class Spoilt(Proxy):
        name, source, needs = "spoilt", "this test", (Spoils,)

        def value(self, results):
            return results[Spoils]

    net, (pictures, measured) = two_inputs()
    before = pictures.clone(), measured.clone()
    net.eval()
    (found,) = score(net, ((pictures, measured), TARGETS), [Spoilt()], train=False).values()
    halves = [nn.functional.cross_entropy(net(pictures[h], measured[h]), TARGETS[h]) for h in (slice(3), slice(3, 6))]
    assert found.value == pytest.approx(sum(halves).item())
    assert all(map(torch.equal, (pictures, measured), before))


PICTURES, MEASURED = two_inputs()[1]
Point = namedtuple("Point", "x y")
WRONG = [
    ((), ValueError, "inputs: expected at least one tensor, got none"),
    ({}, ValueError, "inputs: expected at least one tensor, got none"),
    ("text", TypeError, "inputs: expected a tensor, a tuple of tensors or a dict of them, got str"),
    (None, TypeError, "inputs: expected a tensor, a tuple of tensors or a dict of them, got NoneType"),
    (iter([PICTURES, MEASURED]), TypeError, "inputs: expected a tensor, a tuple of tensors or a dict of them, got "),
    ((PICTURES, None), TypeError, r"inputs\[1\]: expected a tensor, got NoneType"),
    ((PICTURES, (MEASURED,)), TypeError, r"inputs\[1\]: expected a tensor, got tuple"),
    (((PICTURES, MEASURED),), TypeError, r"inputs\[0\]: expected a tensor, got tuple"),
    (Point(PICTURES, 1.0), TypeError, r"inputs\[1\]: expected a tensor, got float"),
    ({"pictures": PICTURES, "measured": [1.0]}, TypeError, r"inputs\['measured'\]: expected a tensor, got list"),
    ({0: PICTURES, "measured": MEASURED}, TypeError, "inputs: expected keywords of the net as keys, got 0"),
    ((PICTURES, MEASURED[:4]), ValueError, r"inputs\[1\]: expected 6 samples, as inputs\[0\] has, got shape \(4, 5\)"),
    ({"pictures": PICTURES, "measured": MEASURED[:1]}, ValueError, r"inputs\['measured'\]: expected 6 samples"),
    ((PICTURES, MEASURED.sum()), ValueError, r"inputs\[1\]: expected at least one sample, got shape \(\)"),
    ((PICTURES[:0], MEASURED), ValueError, r"inputs\[0\]: expected at least one sample"),
    ((PICTURES, MEASURED.to_sparse()), ValueError, r"inputs\[1\]: expected a dense tensor"),
    ((PICTURES, MEASURED.log()), ValueError, r"inputs\[1\]: expected finite numbers"),
    ((PICTURES, MEASURED.to("meta")), ValueError, r"inputs\[1\]: expected to be on the module's device \(cpu\)"),
    ((PICTURES[:4], MEASURED[:4]), ValueError, r"targets: expected one a sample \(4\), got shape \(6,\)"),
]


@pytest.mark.parametrize(("inputs", "error", "message"), WRONG, ids=[each[2] for each in WRONG])
def test_wrong_inputs(inputs, error, message):
    with pytest.raises(error, match=message):
        score(two_inputs()[0], (inputs, TARGETS), ["snip", "synflow"])


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ({"pictures": PICTURES, "mesured": MEASURED}, "unexpected keyword argument 'mesured'"),
        ({"pictures": PICTURES}, "missing 1 required positional argument: 'measured'"),
        ((PICTURES, MEASURED, MEASURED), "takes 3 positional arguments but 4 were given"),
        ((MEASURED, PICTURES), "Expected 3D"),
    ],
)
def test_inputs_that_the_net_does_not_take(inputs, reason):
    for each in score(two_inputs()[0], (inputs, TARGETS), ["snip", "synflow", "jacob_cov"]).values():
        assert each.status == "failed"
        assert reason in each.reason


def test_inputs_without_real_numbers():
    class Counts(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(5, 3)

        def forward(self, counts, mask):
            return self.head(counts.to(self.head.weight.dtype) * mask)

    given = torch.randint(9, (N, 5)), torch.ones(N, 5, dtype=torch.bool)
    found = score(Counts(), (given, TARGETS), ["jacob_cov", "synflow", "snip"])
    assert [each.status for each in found.values()] == ["failed", "failed", "ok"]
    assert found["jacob_cov"].reason == "integer inputs: no nn.Embedding was called on them, so none is real"
    complex_ones = torch.randn(N, 5), torch.randn(N, 5).to(torch.complex64)
    found = score(Counts(), (complex_ones, TARGETS), ["jacob_cov", "synflow"])
    assert {each.status for each in found.values()} <= {"undefined", "failed"}


def test_an_unread_number_adds_nothing():
    """Its derivative is zero, and the embeddings' stay."""

    class Extra(Tokens):
        def forward(self, tokens, unread):
            return super().forward(tokens)

    torch.manual_seed(5)
    net, tokens, unread = Extra().double(), torch.randint(11, (N, 4)), torch.randn(N, 2).double()
    found = values(net, (tokens, unread), ["snip", "synflow"])
    torch.manual_seed(5)
    expected = values(Tokens().double(), tokens, ["snip", "synflow"])
    assert found == pytest.approx(expected, rel=1e-12)
