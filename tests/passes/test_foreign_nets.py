"""Nets that do what the libraries of models do: what each score is there, and what is refused."""

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F  # noqa: N812
import torch.nn.utils.prune
from torch.utils.checkpoint import checkpoint

from tests.proxies.example_nets import ANY_NET, image_batch
from zcfast.scoring import score

ALL = ANY_NET
BATCH = torch.randn(6, 12, generator=torch.Generator().manual_seed(1)), torch.arange(6) % 3


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(3)


class ImageNet(nn.Module):
    """Convolution, BatchNorm, an activation without a second derivative in torch; checkpointed if asked."""

    def __init__(self, checkpointed, inplace=False):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Hardsigmoid(inplace))
        self.head, self.checkpointed = nn.Linear(144, 5), checkpointed

    def forward(self, x):
        x = checkpoint(self.features, x, use_reentrant=False) if self.checkpointed else self.features(x)
        return self.head(x.flatten(1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_checkpointed_batchnorm(dtype):
    plain, checkpointed = (ImageNet(kind).to(dtype) for kind in (False, True))
    checkpointed.load_state_dict(plain.state_dict())
    one, other = (score(net, image_batch(dtype=dtype), ALL) for net in (plain, checkpointed))
    assert {s.status for s in other.values()} == {"ok"}
    rel = 1e-4 if dtype == torch.float32 else 1e-11
    assert {k: s.value for k, s in other.items()} == {k: pytest.approx(s.value, rel=rel) for k, s in one.items()}


@pytest.mark.parametrize("inplace", [False, True])
def test_hardsigmoid_has_a_second_derivative(inplace):
    net = ImageNet(checkpointed=False, inplace=inplace).double()
    inputs, targets = image_batch()
    weights = [net.features[0].weight, net.head.weight]

    def loss():
        x = net.features[1](net.features[0](inputs))
        return F.cross_entropy(net.head((F.relu6(x + 3) / 6).flatten(1)), targets)

    gradients = torch.autograd.grad(loss(), weights, create_graph=True)
    product = sum((g.detach() * g).sum() for g in gradients)
    expected = -sum((w * h).sum() for w, h in zip(weights, torch.autograd.grad(product, weights), strict=True))
    value = score(net, (inputs, targets), ["grasp"])["grasp"].value
    assert value == pytest.approx(expected.item(), rel=1e-8)  # torch's first derivative takes a sixth in float32


class DroppedAttention(nn.Module):
    """Dropout draws its numbers in the order of memory, which fused attention changes."""

    def __init__(self):
        super().__init__()
        self.project, self.drop, self.head = nn.Linear(4, 12), nn.Dropout(0.5), nn.Linear(4, 3)

    def forward(self, x):
        q, k, v = self.project(x.view(-1, 3, 4)).view(-1, 3, 2, 6).transpose(1, 2).chunk(3, -1)
        return self.head(self.drop(F.scaled_dot_product_attention(q, k, v)).transpose(1, 2).flatten(2).mean(1))


def test_a_score_does_not_depend_on_the_other_proxies():
    net = DroppedAttention()
    first = ("grad_norm", "fisher", "jacob_cov")
    alone = score(net, BATCH, first)
    beside = score(net, BATCH, ALL)
    assert {name: alone[name].value for name in first} == {name: beside[name].value for name in first}


class InputSetter(nn.Sequential):
    """Refuses inputs that are results themselves, as the feature encoder of Wav2Vec2 does in training."""

    def forward(self, x):
        x.requires_grad = True
        return super().forward(x)


def test_a_net_without_an_input_jacobian_has_its_other_scores():
    net = InputSetter(nn.Linear(12, 3))
    result = score(net, BATCH, ["snip", "jacob_cov", "flops"])
    assert {name: s.status for name, s in result.items()} == {"snip": "ok", "jacob_cov": "failed", "flops": "ok"}
    assert "requires_grad" in result["jacob_cov"].reason
    assert result["snip"].value == score(nn.Sequential(*net), BATCH, ["snip"])["snip"].value


class FrozenTrunk(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk, self.head = nn.Linear(12, 4), nn.Linear(4, 3)

    def forward(self, x):
        with torch.no_grad():
            x = self.trunk(x)
        return self.head(x)


def test_layers_under_no_grad_count_their_flops():
    result = score(FrozenTrunk(), BATCH, ALL)
    assert {name for name, s in result.items() if s.status == "ok"} == {"params", "l2_norm", "flops", "multiply_adds"}
    assert result["flops"].value == 12 * 4 + 4 * 3
    assert all("'trunk' runs under no_grad" in s.reason for s in result.values() if s.status == "refused")


class Observer(nn.Module):
    """Buffers that change their shape, as the observers of quantisation, and that repeat one number."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(12, 3)
        self.register_buffer("low", torch.empty(0))
        self.register_buffer("scale", torch.full((1, 1), 2.0).expand(2, 3))

    def forward(self, x):
        self.low.resize_(12).copy_(x.detach().amin(0))
        return self.head(x) * self.scale[0]


def test_layers_in_inference_mode_count_their_flops():
    class Inference(nn.Sequential):
        @torch.inference_mode()
        def forward(self, x):
            return super().forward(x)

    result = score(
        Inference(nn.Linear(4, 3)), (torch.randn(5, 4), torch.arange(5) % 3), ["snip", "fisher", "jacob_cov", "flops"]
    )
    assert [one.status for one in result.values()] == ["refused"] * 3 + ["ok"]
    assert "under no_grad" in result["snip"].reason


def test_buffers_of_any_shape_come_back():
    net = Observer()
    low, scale = net.low, net.scale
    assert {s.status for s in score(net, BATCH, ALL).values()} == {"ok"}
    assert net.low is low
    assert low.shape == (0,)
    assert net.scale is scale
    assert scale.tolist() == [[2.0] * 3] * 2


class Graph(nn.Module):
    """Mixes features by a matrix, which may be sparse."""

    def __init__(self, adjacency):
        super().__init__()
        self.head = nn.Linear(12, 3).double()
        self.register_buffer("adjacency", adjacency)

    def forward(self, x):
        return self.head((self.adjacency @ x.T).T)


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support")
@pytest.mark.parametrize("layout", [torch.sparse_coo, torch.sparse_csr])
def test_sparse_buffers(layout):
    dense = Graph(torch.eye(12).roll(1, 0).double() + torch.eye(12).double())
    sparse = Graph(dense.adjacency.to_sparse(layout=layout))
    sparse.head.load_state_dict(dense.head.state_dict())
    buffer, batch = sparse.adjacency, (BATCH[0].double(), BATCH[1])
    result, expected = (score(net, batch, ALL) for net in (sparse, dense))
    assert sparse.adjacency is buffer
    assert {s.status for s in result.values()} == {"ok"}
    assert {k: s.value for k, s in result.items()} == pytest.approx({k: s.value for k, s in expected.items()})


def test_compiled_nets_run_uncompiled():
    compilations = []

    def backend(graph, inputs):
        compilations.append(graph)
        return graph.forward

    net = nn.Sequential(nn.Linear(12, 4), nn.Tanh(), nn.Linear(4, 3))
    compiled = torch.compile(net, backend=backend)
    one, other = (score(each, BATCH, ALL) for each in (net, compiled))
    assert {k: s.value for k, s in one.items()} == {k: s.value for k, s in other.items()}
    assert compilations == []
    compiled(BATCH[0])
    assert len(compilations) == 1


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.* is deprecated")
@pytest.mark.parametrize("inside", [False, True])
def test_torchscript_is_refused(inside):
    script = torch.jit.script(nn.Sequential(nn.Linear(12, 3)))
    net = nn.Sequential(script, nn.Linear(3, 3)) if inside else script
    with pytest.raises(ValueError, match="part '0' is TorchScript" if inside else "it is TorchScript"):
        score(net, BATCH)


def test_what_has_no_weights_yet_is_refused():
    with pytest.raises(ValueError, match="'1' is lazy"):
        score(nn.Sequential(nn.Linear(12, 3), nn.LazyBatchNorm1d()), BATCH)
    with pytest.raises(ValueError, match=r"module: .* meta device"):
        score(nn.Linear(12, 3, device="meta"), BATCH)


def test_pruned_layers_are_refused_by_name():
    net = nn.Sequential(torch.nn.utils.prune.l1_unstructured(nn.Linear(12, 3), "weight", 0.5))
    with pytest.raises(ValueError, match=r"layer '0'.*prune\.remove"):
        score(net, BATCH)
    torch.nn.utils.prune.remove(net[0], "weight")
    assert score(net, BATCH, ["snip"])["snip"].status == "ok"


@pytest.mark.parametrize("outer", [False, True])
def test_what_was_made_in_inference_mode(outer):
    with torch.inference_mode():
        net, batch = ImageNet(checkpointed=False), image_batch(dtype=torch.float32)
        batch = tuple(part.clone() for part in batch)
    plain = ImageNet(checkpointed=False)
    plain.load_state_dict(net.state_dict())
    expected = score(plain, tuple(part.clone() for part in batch), ALL)
    with torch.inference_mode(outer):
        result = score(net, batch, ALL)
    assert {k: s.value for k, s in result.items()} == {k: s.value for k, s in expected.items()}
    assert {s.status for s in result.values()} == {"ok"}
    assert all(buffer.is_inference() for buffer in net.buffers())


def test_fisher_takes_the_output_before_the_hooks_of_the_caller():
    net = nn.Sequential(nn.Linear(12, 4), nn.Tanh(), nn.Linear(4, 3))
    scaled = nn.Sequential(net[0], Scale(), *net[1:])
    expected = score(scaled, BATCH, ["fisher"])["fisher"].value
    net[0].register_forward_hook(lambda module, args, output: 2 * output + 1)
    assert score(net, BATCH, ["fisher"])["fisher"].value == pytest.approx(expected, rel=1e-6)


class Scale(nn.Module):
    def forward(self, x):
        return 2 * x + 1


class FloatOnly(nn.Module):
    """Holds a matrix that no conversion reaches, as a net for one precision does."""

    def __init__(self):
        super().__init__()
        self.matrix = torch.eye(3)

    def forward(self, x):
        return x @ self.matrix


def test_a_net_that_does_not_run_in_float64():
    result = score(nn.Sequential(nn.Linear(12, 3), FloatOnly()), BATCH, ["snip", "synflow"])
    assert result["snip"].status == "ok"
    assert result["synflow"].status == "failed"
    assert result["synflow"].reason.startswith("in float64, as synflow runs: RuntimeError")
