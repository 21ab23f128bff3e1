"""Sparse gradients, complex numbers, hooks on parameters and other tensors that are not plain floats."""

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F  # noqa: N812

from tests.proxies.plain_torch import check, evaluate
from zcfast.scoring import score

GRADIENTS = ["grad_norm", "snip", "plain", "fisher", "grasp"]
BATCH = torch.randn(4, 5, generator=torch.Generator().manual_seed(1)), torch.arange(4)


class Tied(nn.Module):
    """The embedding's weight is the head's too."""

    def __init__(self, kind, **options):
        super().__init__()
        torch.manual_seed(0)
        self.embedding, self.body, self.head = kind(11, 6, **options), nn.Linear(6, 6), nn.Linear(6, 11, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, tokens):
        z = self.embedding(tokens)
        return self.head(self.body(z if z.dim() == 2 else z.mean(1)).relu())


class Functional(Tied):
    def forward(self, tokens):
        z = F.embedding(tokens, self.head.weight, sparse=self.embedding.sparse).mean(1)
        return self.head(self.body(z).relu())


TOKENS = torch.randint(0, 11, (4, 5), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("net", [Tied, Functional])
@pytest.mark.parametrize("kind", [nn.Embedding, nn.EmbeddingBag])
def test_sparse_gradients_of_a_tied_weight(net, kind):
    names = ["grad_norm", "plain", "fisher", "l2_norm"]  # snip and grasp have rules of their own for tied weights
    expected = evaluate(net(kind), (TOKENS, BATCH[1]), names)
    every = [*names, "snip", "grasp", "jacob_cov", "synflow"]
    sparse, dense = (score(net(kind, sparse=flag), (TOKENS, BATCH[1]), every) for flag in (True, False))
    for name in names:
        assert sparse[name].value == pytest.approx(expected[name], rel=1e-4), sparse[name].reason
    for name, found in sparse.items():
        assert found.status == dense[name].status, found.reason
        assert found.value == pytest.approx(dense[name].value, rel=1e-5, nan_ok=True), name
    assert (sparse["grasp"].status == "ok") is (kind is nn.Embedding or net is Functional)  # torch has none of bags


class OfComplex(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.body, self.head = nn.Linear(10, 8), nn.Linear(8, 5)

    def forward(self, x):
        return self.head(self.body(torch.cat([x.real, x.imag], 1)).relu())


def test_complex_inputs():
    inputs = torch.complex(BATCH[0], BATCH[0].flip(0))
    expected = evaluate(OfComplex(), (inputs, BATCH[1]), GRADIENTS)
    found = score(OfComplex(), (inputs, BATCH[1]), [*GRADIENTS, "jacob_cov", "synflow", "flops"])
    for name, value in expected.items():
        assert found[name].value == pytest.approx(value, rel=1e-4), found[name].reason
    for name in ("jacob_cov", "synflow"):
        assert found[name].status == "undefined"
        assert "complex" in found[name].reason
    inputs[0, 0] = complex(0, float("nan"))
    with pytest.raises(ValueError, match="inputs: expected finite numbers"):
        score(OfComplex(), (inputs, BATCH[1]), ["snip"])


class Spectral(nn.Module):
    """Multiplies by complex weights in Fourier space."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.body, self.head = nn.Linear(5, 8), nn.Linear(8, 5)
        self.filters = nn.Parameter(torch.randn(5, dtype=torch.complex64))

    def forward(self, x):
        z = torch.fft.rfft(self.body(x))
        return self.head(torch.fft.irfft(z * self.filters.to(z.dtype), n=8))


def test_complex_parameters():
    net = Spectral()
    found = score(net, BATCH, [*GRADIENTS, "jacob_cov", "params", "synflow"])
    body, head = net.body.weight, net.head.weight
    gradients = torch.autograd.grad(F.cross_entropy(net(BATCH[0]), BATCH[1]), [body, head])
    assert found["grad_norm"].value == pytest.approx(sum(g.norm().item() for g in gradients), rel=1e-5)
    assert {name: s.status for name, s in found.items()} == dict.fromkeys(found, "ok") | {"synflow": "undefined"}
    assert "complex" in found["synflow"].reason


def test_bool_inputs_are_called_so():
    class OfBool(OfComplex):
        def forward(self, x):
            return self.head(self.body(torch.cat([x, ~x], 1).to(self.body.weight.dtype)).relu())

    found = score(OfBool(), (BATCH[0] > 0, BATCH[1]), ["snip", "jacob_cov", "synflow"])
    assert found["snip"].status == "ok"
    assert found["jacob_cov"].reason.startswith("bool inputs: no nn.Embedding")
    assert found["synflow"].reason.startswith("bool inputs: no nn.Embedding")


def test_hooks_on_gradients_of_norms_refuse_what_takes_these():
    net = nn.Sequential(nn.Linear(5, 4), nn.LayerNorm(4), nn.Linear(4, 3)).double()
    batch = torch.randn(6, 5).double(), torch.arange(6) % 3
    before = score(net, batch, ["grad_norm"])["grad_norm"].value
    net[1].weight.register_hook(lambda gradient: 2 * gradient)
    scores = score(net, batch, ["ntk_cond", "vkdnw_entropy", "grad_norm"])
    for name in ("ntk_cond", "vkdnw_entropy"):
        assert (scores[name].status, scores[name].reason[:24]) == ("refused", "the weight of a LayerNor")
    assert scores["grad_norm"].value == before


@pytest.mark.parametrize("register", ["register_hook", "register_post_accumulate_grad_hook"])
def test_a_hook_on_the_gradient_of_a_weight_is_refused(register):
    net = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 5))
    called = []
    names = [*GRADIENTS, "synflow", "jacob_cov", "l2_norm", "flops", "params"]
    before = score(net, BATCH, names)
    handle = getattr(net[2].weight, register)(lambda gradient: called.append(gradient))
    for name, found in score(net, BATCH, names).items():
        if name in (*GRADIENTS, "synflow"):
            assert found.status == "refused"
            assert "the weight of a Linear has a hook on its gradient" in found.reason
        else:
            assert found.value == before[name].value
    handle.remove()
    getattr(net[2].bias, register)(lambda gradient: called.append(gradient))  # no score takes its gradient
    assert {n: s.value for n, s in score(net, BATCH, names).items()} == {n: s.value for n, s in before.items()}
    assert not called


def test_sparse_weights_are_an_error():
    net = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 5))
    net[0].weight = nn.Parameter(net[0].weight.detach().to_sparse_csr())
    with pytest.raises(ValueError, match=r"module: expected dense weights, layer '0' has torch\.sparse_csr"):
        score(net, BATCH, ["snip"])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 5))
    check(net, BATCH, ["grad_norm", "snip", "fisher", "jacob_cov", "flops"], dtypes=(dtype,), single=0.1)
