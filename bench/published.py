"""The published scheme of the six proxies in plain PyTorch: the rival, and the values that zcfast must give.

As in the code of Abdelfattah et al. 2021: every proxy takes a copy of the net and its own forward and backward pass,
and loops in Python over the layers, Conv2d and Linear.
"""

import copy
import types
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

Batch = tuple[Tensor, Tensor]


def constructed(net: nn.Module) -> nn.Module:
    """The same net by the constructors of PyTorch's layers, which draw the weights, as the published code builds it."""
    if isinstance(net, nn.Conv2d):
        sizes = net.in_channels, net.out_channels, net.kernel_size, net.stride, net.padding
        return nn.Conv2d(*sizes, bias=net.bias is not None)
    if isinstance(net, nn.BatchNorm2d):
        return nn.BatchNorm2d(net.num_features)
    if isinstance(net, nn.Linear):
        return nn.Linear(net.in_features, net.out_features)
    result = copy.copy(net)
    result._modules = {name: constructed(child) for name, child in net._modules.items()}
    return result


def layers_of(net: nn.Module) -> list[nn.Module]:
    return [layer for layer in net.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]


def total(per_layer: list[Tensor]) -> float:
    return sum(torch.sum(part).item() for part in per_layer)


def grad_norm(net: nn.Module, batch: Batch) -> float:
    F.cross_entropy(net(batch[0]), batch[1]).backward()
    return total([layer.weight.grad.norm() for layer in layers_of(net)])


def masked_convolution(layer: nn.Conv2d, x: Tensor) -> Tensor:
    return layer._conv_forward(x, layer.weight * layer.weight_mask, layer.bias)


def masked_linear(layer: nn.Linear, x: Tensor) -> Tensor:
    return F.linear(x, layer.weight * layer.weight_mask, layer.bias)


def snip(net: nn.Module, batch: Batch) -> float:
    for layer in layers_of(net):
        layer.weight_mask = nn.Parameter(torch.ones_like(layer.weight))
        layer.weight.requires_grad_(False)
        masked = masked_convolution if isinstance(layer, nn.Conv2d) else masked_linear
        layer.forward = types.MethodType(masked, layer)
    F.cross_entropy(net(batch[0]), batch[1]).backward()
    return total([layer.weight_mask.grad.abs() for layer in layers_of(net)])


def grasp(net: nn.Module, batch: Batch) -> float:
    weights = [layer.weight for layer in layers_of(net)]
    first = torch.autograd.grad(F.cross_entropy(net(batch[0]), batch[1]), weights, allow_unused=True)
    loss = F.cross_entropy(net(batch[0]), batch[1])
    second = torch.autograd.grad(loss, weights, create_graph=True, allow_unused=True)
    product = sum((a.detach() * b).sum() for a, b in zip(first, second, strict=True) if a is not None)
    product.backward()
    return total([-weight.detach() * weight.grad for weight in weights if weight.grad is not None])


def fisher(net: nn.Module, batch: Batch) -> float:
    channels: dict[nn.Module, Tensor] = {}
    for layer in layers_of(net):
        layer.dummy = nn.Identity()
        plain = nn.Conv2d.forward if isinstance(layer, nn.Conv2d) else nn.Linear.forward
        layer.forward = types.MethodType(_observed(plain), layer)
        layer.dummy.register_full_backward_hook(_reduce(layer, channels))
    F.cross_entropy(net(batch[0]), batch[1]).backward()
    values = [channels.get(layer, torch.zeros(layer.weight.shape[0])) for layer in layers_of(net)]
    shapes = [layer.weight.shape[1:] for layer in layers_of(net)]
    return total(
        [
            torch.stack([torch.Tensor(shape).fill_(channel) for channel in value])
            for value, shape in zip(values, shapes, strict=True)
        ]
    )


def _observed(plain: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def forward(layer: nn.Module, x: Tensor) -> Tensor:
        layer.activation = layer.dummy(plain(layer, x))
        return layer.activation

    return forward


def _reduce(layer: nn.Module, channels: dict[nn.Module, Tensor]) -> Callable[..., None]:
    def hook(module: nn.Module, to_input: tuple[Tensor], from_output: tuple[Tensor]) -> None:
        product = layer.activation.detach() * from_output[0].detach()
        sums = product.sum(list(range(2, product.dim()))) if product.dim() > 2 else product
        channels[layer] = sums.pow(2).mean(0).mul(0.5)
        del layer.activation

    return hook


def synflow(net: nn.Module, batch: Batch) -> float:
    """Of a net without BatchNorm."""
    with torch.no_grad():
        for value in net.state_dict().values():
            value.abs_()
    net.double()
    net(torch.ones_like(batch[0][:1], dtype=torch.float64)).sum().backward()
    layers = [layer for layer in layers_of(net) if layer.weight.grad is not None]
    return total([(layer.weight * layer.weight.grad).abs() for layer in layers])


def without_batch_norm(net: nn.Module) -> nn.Module:
    for child in net.modules():
        for name, inner in child.named_children():
            if isinstance(inner, nn.BatchNorm2d):
                setattr(child, name, nn.Identity())
    return net


def jacob_cov(net: nn.Module, batch: Batch) -> float:
    inputs = batch[0].clone().requires_grad_(True)
    logits = net(inputs)
    logits.backward(torch.ones_like(logits))
    rows = inputs.grad.detach().reshape(len(inputs), -1).cpu().numpy()
    shifted = np.linalg.eig(np.corrcoef(rows))[0] + 1e-5
    return float(-np.sum(np.log(shifted) + 1 / shifted).real)


def score(net: nn.Module, batch: Batch, proxies: list[str]) -> dict[str, float]:
    """Each proxy on a copy of its own."""
    result = {}
    for name in proxies:
        own = copy.deepcopy(net)
        own.train()
        result[name] = PROXIES[name](without_batch_norm(own) if name == "synflow" else own, batch)
    return result


PROXIES: dict[str, Callable[[nn.Module, Batch], float]] = {
    "grad_norm": grad_norm,
    "snip": snip,
    "grasp": grasp,
    "fisher": fisher,
    "synflow": synflow,
    "jacob_cov": jacob_cov,
}
