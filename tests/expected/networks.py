"""The two spaces' networks without BatchNorm, written from the papers in plain PyTorch to compare with.

Each takes `weight(shape, kind)`, which gives and remembers a leaf tensor, and returns the sum of outputs for an input
of ones.
"""

import math

import torch
import torch.nn.functional as functional


def synflow(forward, weight) -> torch.Tensor:
    """Sum of w dR/dw by autograd, at the weights that `weight` gives."""
    weights = []

    def remember(shape, kind="conv"):
        tensor = weight(shape, kind)
        if kind != "bias":
            weights.append(tensor.requires_grad_())
        return tensor

    total = forward(remember)
    gradients = torch.autograd.grad(total, weights, allow_unused=True)
    terms = [(w * g).sum() for w, g in zip(weights, gradients, strict=True) if g is not None]
    return torch.stack(terms).sum().detach()


def sizes_of(shape, kind, initialisation):
    """(distribution, scale) of a weight: normal with a standard deviation, uniform with a bound, or zero."""
    fan_in = math.prod(shape[1:]) if kind != "bias" else shape[1]
    fan_out = shape[0] * math.prod(shape[2:])
    if initialisation == "pytorch":
        return "uniform", 1 / math.sqrt(fan_in)
    if kind == "bias":
        return "uniform", 0.0
    if initialisation == "kaiming_fan_in":
        return "normal", math.sqrt(2 / fan_in)
    return "normal", 0.01 if kind == "linear" else math.sqrt(2 / fan_out)


def mean_weights(initialisation):
    """Every weight at its mean absolute value."""

    def weight(shape, kind):
        distribution, scale = sizes_of(shape, kind, initialisation)
        mean = scale * math.sqrt(2 / math.pi) if distribution == "normal" else scale / 2
        size = shape[:1] if kind == "bias" else shape
        return torch.full(size, mean, dtype=torch.float64)

    return weight


def random_weights(initialisation, generator, dtype=torch.float64):
    """Absolute values of random weights."""

    def weight(shape, kind):
        distribution, scale = sizes_of(shape, kind, initialisation)
        size = shape[:1] if kind == "bias" else shape
        if distribution == "normal":
            return (torch.randn(size, dtype=dtype, generator=generator) * scale).abs()
        return torch.rand(size, dtype=dtype, generator=generator) * scale

    return weight


def conv(x, out, kernel, weight, stride=1, bias=False):
    w = weight((out, x.shape[1], kernel, kernel))
    b = weight((out, x.shape[1] * kernel * kernel), "bias") if bias else None
    return functional.relu(functional.conv2d(x, w, b, stride=stride, padding=kernel // 2))


def linear(x, out, weight):
    return functional.linear(x, weight((out, x.shape[1]), "linear"), weight((out, x.shape[1]), "bias"))


def vertex_channels(matrix, out):
    """compute_vertex_channels of the benchmark."""
    n = len(matrix)
    channels = [0] * (n - 1) + [out]
    if n == 2:
        return channels
    feeding = [v for v in range(1, n - 1) if matrix[v][n - 1]]
    for position, v in enumerate(feeding):
        channels[v] = out // len(feeding) + (position < out % len(feeding))
    for v in range(n - 3, 0, -1):
        if not matrix[v][n - 1]:
            channels[v] = max(channels[w] for w in range(v + 1, n - 1) if matrix[v][w])
    return channels


def nasbench101(matrix, names, weight, *, stem_channels, stacks, modules, classes, resolution, image_channels):
    x = torch.ones(1, image_channels, resolution, resolution, dtype=torch.float64)
    channels = stem_channels
    x = conv(x, channels, 3, weight)
    for stack in range(stacks):
        if stack > 0:
            x = functional.max_pool2d(x, 2)
            channels *= 2
        for _ in range(modules):
            x = nasbench101_module(matrix, names, x, channels, weight)
    return linear(x.mean((2, 3)), classes, weight).sum()


def nasbench101_module(matrix, names, x, out, weight):
    n = len(matrix)
    channels = vertex_channels(matrix, out)
    outputs = {}
    for v in range(1, n - 1):
        inputs = [outputs[u][:, : channels[v]] for u in range(1, v) if matrix[u][v]]
        if matrix[0][v]:
            inputs.append(conv(x, channels[v], 1, weight))
        total = sum(inputs)
        if names[v] == "maxpool3x3":
            outputs[v] = functional.max_pool2d(total, 3, stride=1, padding=1)
        else:
            outputs[v] = conv(total, channels[v], 3 if names[v].startswith("conv3x3") else 1, weight)
    parts = [outputs[v] for v in range(1, n - 1) if matrix[v][n - 1]]
    result = torch.cat(parts, 1) if parts else 0
    return result + conv(x, out, 1, weight) if matrix[0][n - 1] else result


def nasbench201(operations, weight, *, stem_channels, modules, classes, resolution, image_channels):
    x = torch.ones(1, image_channels, resolution, resolution, dtype=torch.float64)
    channels = stem_channels
    x = conv(x, channels, 3, weight)
    for stage in range(3):
        if stage > 0:
            channels *= 2
            beside = conv(functional.avg_pool2d(x, 2), channels, 1, weight)
            x = conv(conv(x, channels, 3, weight, stride=2), channels, 3, weight) + beside
        for _ in range(modules):
            x = nasbench201_cell(operations, x, weight)
    return linear(x.mean((2, 3)), classes, weight).sum()


def nasbench201_cell(operations, x, weight):
    nodes, edges = [x], iter(operations)
    for node in range(1, 4):
        total = torch.zeros_like(x)
        for source in range(node):
            total = total + edge(next(edges), nodes[source], weight)
        nodes.append(total)
    return nodes[-1]


def edge(operation, x, weight):
    if operation == 0:
        return torch.zeros_like(x)
    if operation == 1:
        return x
    if operation == 4:
        return functional.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)
    return conv(x, x.shape[1], 1 if operation == 2 else 3, weight, bias=True)
