"""Every proxy against slow definitions by torch.func, for nets that are drawn."""

import math

import hypothesis.strategies as st
import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F  # noqa: N812
from hypothesis import HealthCheck, given, settings
from torch.func import functional_call

from zcfast.passes.layers import find_layers
from zcfast.proxies import fisher
from zcfast.scoring import score

LAYERS = (nn.Conv2d, nn.Linear)


class Residual(nn.Sequential):
    def forward(self, x):
        return x + super().forward(x)


@st.composite
def nets(draw):
    """A net on [N, 2, 5, 5] of three classes, small enough for its whole Hessian."""
    channels, layers = 2, []
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(["conv", "pointwise", "depthwise", "residual", "norm", "pool", "max", "twice"]))
        bias = draw(st.booleans())
        if kind == "conv":
            outputs = draw(st.integers(1, 3))
            layers.append(nn.Conv2d(channels, outputs, 3, padding=1, bias=bias))
            channels = outputs
        elif kind == "pointwise":
            layers.append(nn.Conv2d(channels, channels, 1, bias=bias))
        elif kind == "depthwise":
            layers.append(nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=bias))
        elif kind == "residual":
            layers.append(Residual(nn.Conv2d(channels, channels, 1, bias=bias), nn.ReLU()))
        elif kind == "norm":
            layers.append(nn.BatchNorm2d(channels))
        elif kind == "twice":
            shared = nn.Conv2d(channels, channels, 1, bias=bias)
            layers += [shared, nn.ReLU(), shared]
        else:
            layers.append(nn.AvgPool2d(3, 1, 1) if kind == "pool" else nn.MaxPool2d(3, 1, 1))
        layers.append(draw(st.sampled_from([nn.ReLU, nn.Tanh, nn.Identity]))())
    net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(draw(st.integers(1, 2))), nn.Flatten(), nn.LazyLinear(3))
    net(torch.zeros(2, 2, 5, 5))
    net.double()
    generator = torch.Generator().manual_seed(draw(st.integers(0, 999)))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
        for child in net.modules():
            if isinstance(child, nn.BatchNorm2d):
                child.weight.uniform_(0.5, 1.5, generator=generator)
    return net


class Oracle:
    """Definitions over the parameters as a dictionary; the net is never written to."""

    def __init__(self, net, inputs, targets):
        self.net, self.inputs, self.targets = net.train(), inputs, targets
        self.names = [f"{layer.name}.weight" for layer in find_layers(net, LAYERS)]
        self.weights = {name: net.get_parameter(name).detach() for name in self.names}
        self.state = {k: v.detach().clone() for k, v in [*net.named_parameters(), *net.named_buffers()]}

    def logits(self, weights, inputs=None):
        state = {k: v.clone() for k, v in self.state.items()} | weights
        return functional_call(self.net, state, (self.inputs if inputs is None else inputs,))

    def loss(self, weights):
        return F.cross_entropy(self.logits(weights), self.targets)

    def gradients(self):
        return torch.func.grad(self.loss)(self.weights)

    def grasp(self):
        sizes = [w.numel() for w in self.weights.values()]

        def unflatten(flat):
            parts = flat.split(sizes)
            return {n: p.view_as(self.weights[n]) for n, p in zip(self.names, parts, strict=True)}

        flat = torch.cat([w.flatten() for w in self.weights.values()])
        gradient = torch.cat([self.gradients()[n].flatten() for n in self.names])
        hessian = torch.func.hessian(lambda f: self.loss(unflatten(f)))(flat)
        return -(flat @ hessian @ gradient).item()

    def fisher(self, elementwise):
        """By perturbing the output of each call of each layer."""
        total = 0.0
        for layer in find_layers(self.net, LAYERS):
            calls = []
            handle = layer.module.register_forward_hook(lambda m, a, out, calls=calls: calls.append(out.detach()))
            self.logits(self.weights)
            handle.remove()

            def perturbed(deltas, module=layer.module):
                pending = iter(deltas)
                handle = module.register_forward_hook(lambda m, a, out: out + next(pending))
                try:
                    return self.loss(self.weights)
                finally:
                    handle.remove()

            gradients = torch.func.grad(perturbed)([torch.zeros_like(call) for call in calls])
            for a, g in zip(calls, gradients, strict=True):
                for k in range(a.shape[1]):
                    product = (a * g)[:, k].reshape(len(a), -1)
                    squares = (product**2).sum(1) if elementwise else product.sum(1) ** 2
                    total += layer.module.weight[0].numel() * squares.mean().item() / 2
        return total

    def jacobian_rows(self):
        rows = torch.func.grad(lambda x: self.logits(self.weights, x).sum())(self.inputs)
        return rows.flatten(1)

    def synflow(self):
        state = {k: v.abs() if v.is_floating_point() else v for k, v in self.state.items()}
        weights = {n: w.abs() for n, w in self.weights.items()}
        plain = nn.Sequential(*[nn.Identity() if isinstance(m, nn.BatchNorm2d) else m for m in self.net])
        kept = {name for name, _ in plain.named_parameters()}
        ones = torch.ones(1, 2, 5, 5, dtype=torch.float64)

        def output(t):
            scaled = {k: v for k, v in state.items() if k in kept} | {n: t * w for n, w in weights.items()}
            return functional_call(plain, scaled, (ones,)).sum()

        return torch.func.jacrev(output)(torch.ones((), dtype=torch.float64)).item()


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(nets(), st.integers(2, 5))
@pytest.mark.slow
def test_definitions(net, size):
    generator = torch.Generator().manual_seed(size)
    inputs = torch.randn(size, 2, 5, 5, generator=generator, dtype=torch.float64)
    targets = torch.randint(3, (size,), generator=generator)
    elementwise = fisher(aggregation="elementwise")
    names = ["grad_norm", "snip", "plain", "grasp", "fisher", elementwise, "synflow", "l2_norm", "params"]
    got = {name: s.value for name, s in score(net, (inputs, targets), [*names, "jacob_cov"]).items()}
    oracle = Oracle(net, inputs, targets)
    gradients, weights = oracle.gradients(), oracle.weights
    expected = {
        "grad_norm": sum(gradients[n].norm().item() for n in oracle.names),
        "snip": sum((weights[n] * gradients[n]).abs().sum().item() for n in oracle.names),
        "plain": sum((weights[n] * gradients[n]).sum().item() for n in oracle.names),
        "grasp": oracle.grasp(),
        "fisher": oracle.fisher(False),
        elementwise.label: oracle.fisher(True),
        "synflow": oracle.synflow(),
        "l2_norm": sum(w.norm().item() for w in weights.values()),
        "params": float(sum(p.numel() for p in net.parameters())),
    }
    # Where BatchNorm makes a sum vanish, what is left is rounding.
    scale = {"plain": expected["snip"], "grasp": expected["snip"] + expected["grad_norm"]}
    for name, value in expected.items():
        assert got[name] == pytest.approx(value, rel=1e-9, abs=1e-12 * (1 + scale.get(name, 0))), name
    check_jacob_cov(got["jacob_cov"], oracle.jacobian_rows())


def check_jacob_cov(value, rows):
    """By explicit eigenvalues."""
    centred = rows - rows.mean(1, keepdim=True)
    if not bool((centred.norm(dim=1) > 1e-9 * rows.norm(dim=1)).all()):
        return  # rows that are constant but for rounding have no defined correlation
    eigenvalues = torch.linalg.eigvalsh(torch.corrcoef(rows))
    k = 1e-5
    expected = -sum(math.log(v + k) + 1 / (v + k) for v in eigenvalues.clamp(min=0).tolist())
    assert value == pytest.approx(expected, rel=1e-8)
