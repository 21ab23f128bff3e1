"""Official recipes of later proxies as plain PyTorch: the rivals of bench.bench_modern that it does not hold itself."""

import copy
import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.func import functional_call, jacrev, vmap

VKDNW = 128  # parameters of which one number counts
TOKENS, WIDTH, STEPS = 32, 64, 70


class Attention(nn.Module):
    """Four heads on [N, T, width], with projections of their own."""

    def __init__(self, width: int, heads: int = 4) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.heads = heads

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (
            part(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (self.query, self.key, self.value)
        )
        return self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Attention and two layers, normalised first."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.attention = Attention(width)
        self.inner = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norms[0](x))
        return x + self.inner(self.norms[1](x))


class Encoder(nn.Module):
    """Four blocks and the mean over the tokens [N, T, width]."""

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(Block(width) for _ in range(4)))
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(x).mean(1))


class Recurrence(nn.Module):
    """One nn.LSTM on [N, T, width], and its last state."""

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        self.rnn, self.head = nn.LSTM(width, width, batch_first=True), nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(x)[0][:, -1])


def epe_nas(net: nn.Module, x: Tensor) -> float:
    """The Jacobian by one backward pass, correlations of each class by numpy."""
    point = x.clone().requires_grad_()
    net(point).backward(torch.ones(len(x), 10))
    rows, classes = point.grad.flatten(1).numpy(), np.arange(len(x)) % 10
    net.zero_grad()
    total = 0.0
    for each in range(10):
        total += abs(np.log(np.abs(np.corrcoef(rows[classes == each])) + 1e-5).sum())
    return total


def ntk_cond(net: nn.Module, x: Tensor) -> float:
    """One backward pass a sample; gradients are kept in lists."""
    weights = [p for name, p in net.named_parameters() if "weight" in name]
    logits, rows = net(x), []
    for each in range(len(x)):
        logits[each : each + 1].backward(torch.ones(1, 10), retain_graph=True)
        rows.append(torch.cat([w.grad.flatten() for w in weights if w.grad is not None]))
        net.zero_grad()
    jacobian = torch.stack(rows)
    values = torch.linalg.eigvalsh(torch.einsum("nc,mc->nm", jacobian, jacobian))
    return float(-values[-1] / values[0])


def logsynflow(net: nn.Module, x: Tensor) -> float:
    """Positive float64 parameters, BatchNorms that give their input back, one image of ones."""
    net = copy.deepcopy(net).double()
    for each in net.modules():
        if isinstance(each, nn.BatchNorm2d):
            each.forward = lambda y: y
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.abs_()
    net(torch.ones_like(x[:1]).double()).sum().backward()
    layers = [each for each in net.modules() if isinstance(each, nn.Conv2d | nn.Linear)]
    return sum((each.weight * (each.weight.grad + 1).log()).abs().sum().item() for each in layers)


def vkdnw(net: nn.Module, x: Tensor) -> float:
    """All samples at once by vmap, their logits' derivatives by jacrev, from drawn weights in evaluation mode."""
    net = copy.deepcopy(net).eval()
    for each in net.modules():
        if isinstance(each, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(each.weight)
    held = {name: p.detach() for name, p in net.named_parameters()}
    names = list(held)[:VKDNW]

    def logits(scalars: Tensor, sample: Tensor) -> Tensor:
        changed = {
            name: torch.cat([scalar[None], held[name].flatten()[1:]]).view_as(held[name])
            for name, scalar in zip(names, scalars, strict=True)
        }
        return functional_call(net, held | changed, sample[None])[0]

    first = torch.stack([held[name].flatten()[0] for name in names])
    jacobians = vmap(jacrev(logits), (None, 0))(first, x)
    with torch.no_grad():
        shares = net(x).softmax(1) * 0.95 + 0.005
        factors = torch.linalg.cholesky(
            torch.diag_embed(shares) - shares[:, :, None] * shares[:, None] + 1e-3 * torch.eye(10)
        )
    rows = factors @ jacobians
    values = torch.linalg.svdvals((rows.transpose(1, 2) @ rows).mean(0))
    spread = torch.quantile(values, torch.arange(1, 10) / 10)
    spread = spread / spread.sum()
    return float(-(spread * (spread + 1e-10).log()).sum())


def dextr(net: nn.Module, x: Tensor) -> float:
    """Singular values of one image's maps, and two derivatives of ten logits one after the other."""
    maps: list[Tensor] = []
    leaves = [each for each in net.modules() if not list(each.children())]
    handles = [each.register_forward_hook(lambda m, a, output: maps.append(output.detach())) for each in leaves]
    net(x[:1])
    for handle in handles:
        handle.remove()
    spread = 0.0
    for each in maps:
        values = torch.linalg.svdvals(each[0].reshape(each.shape[1], -1))
        spread += float(values[-1] / values[0]) if values[0] else 0.0
    angle = torch.zeros((), requires_grad=True)
    one, other = torch.linalg.qr(torch.randn(x[0].numel(), 2)).Q.T.reshape(2, 1, *x.shape[1:])
    velocities, accelerations = [], []
    for logit in net(angle.cos() * one + angle.sin() * other)[0]:
        (velocity,) = torch.autograd.grad(logit, angle, create_graph=True)
        (acceleration,) = torch.autograd.grad(velocity, angle, retain_graph=True)
        velocities.append(velocity.detach())
        accelerations.append(acceleration)
    v, a = torch.stack(velocities), torch.stack(accelerations)
    curvature = float((v.norm() ** 2 * a.norm() ** 2 - (v @ a) ** 2).clamp(min=0).sqrt() / v.norm() ** 3)
    return 1 / (1 / math.log(1 + spread) + 1 / math.log(1 + curvature))


def dss(net: nn.Module, x: Tensor) -> float:
    """Positive parameters, one sample of ones, nuclear norms of attention's weights and their gradients."""
    net = copy.deepcopy(net).double()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.abs_()
    net(torch.ones_like(x[:1]).double()).sum().backward()
    total = 0.0
    for name, each in net.named_modules():
        if isinstance(each, nn.Linear):
            weight, gradient = each.weight.detach(), each.weight.grad
            if "attention" in name:
                total += float(torch.norm(gradient, "nuc") * torch.norm(weight, "nuc"))
            else:
                total += float((weight * gradient).abs().sum())
    return total


def head_confidence(net: nn.Module, x: Tensor) -> float:
    """Hooks on the projections of a forward pass."""
    kept: list[Tensor] = []
    projections = [part for each in net.modules() if isinstance(each, Attention) for part in list(each.children())[:3]]
    handles = [each.register_forward_hook(lambda m, a, output: kept.append(output.detach())) for each in projections]
    net(x)
    for handle in handles:
        handle.remove()
    return sum(each.amax(1).mean().item() for each in kept)


def hidden_cov(net: Any, x: Tensor) -> float:
    """The states of a forward pass, correlations and eigenvalues by numpy."""
    with torch.no_grad():
        states = net.rnn(x)[0]
    rows = F.pad(states[:, :-1], (0, 0, 1, 0)).permute(2, 0, 1).flatten(1).numpy()
    values = np.linalg.eig(np.corrcoef(rows))[0].real
    return -math.fsum(np.log(values + 1e-5) + 1 / (values + 1e-5))
