"""The networks of NAS-Bench-BERT once more, with numpy and scipy: every sum as its definition has it."""

import math

import numpy as np
import scipy.fft
import scipy.special


def logits(weights, layers, tokens):
    """[N, T, 2] of float64 weights by name, layers and tokens [N, T]."""
    under = "encoder.embeddings"
    x = weights[f"{under}.tokens.weight"][tokens] + weights[f"{under}.places.weight"][None, : tokens.shape[1]]
    x = norm(x + weights[f"{under}.segments.weight"][0], weights, f"{under}.norm")
    if "encoder.project.weight" in weights:
        x = linear(x, weights, "encoder.project")
    for place, layer in enumerate(layers):
        under = f"encoder.layers.{place}"
        x = mixed(x, weights, f"{under}.0", layer)
        inner = x
        for number in range(layer.depth):
            inner = gelu(linear(inner, weights, f"{under}.1.inner.{2 * number}"))
        x = norm(x + linear(inner, weights, f"{under}.1.inner.{2 * layer.depth}"), weights, f"{under}.1.norm")
    return linear(gelu(linear(x, weights, "head.0")), weights, "head.2")


def linear(x, weights, name):
    return x @ weights[f"{name}.weight"].T + weights.get(f"{name}.bias", 0)


def norm(x, weights, name):
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12)
    return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def gelu(x):
    return x * (1 + scipy.special.erf(x / math.sqrt(2))) / 2


def heads_of(x, heads):
    return np.split(x, heads, -1)


def mixed(x, weights, name, layer):
    if layer.operation in ("DFT", "DCT"):
        parts = heads_of(linear(x, weights, f"{name}.input"), layer.heads)
        if layer.operation == "DFT":
            return np.concatenate([np.fft.fft2(part).real for part in parts], -1)
        return np.concatenate([scipy.fft.dctn(part, 2, axes=(-2, -1)) for part in parts], -1)
    if layer.operation.startswith("DSC"):
        found = convolved(x, weights, f"{name}.inner.0", layer.heads // 2, int(layer.operation[3:]))
    else:
        query = f"{name}.inner.0.query"
        queries = linear(x, weights, f"{query}.0" if layer.operation == "WMA" else query)
        if layer.operation == "WMA":
            queries = queries @ weights[f"{query}.1.weight"].T
        found = attended(queries, x, weights, f"{name}.inner.0", layer.heads)
    return norm(x + linear(found, weights, f"{name}.inner.1"), weights, f"{name}.norm")


def attended(queries, x, weights, name, heads):
    keys, values = (heads_of(linear(x, weights, f"{name}.{each}"), heads) for each in ("key", "value"))
    parts = []
    for query, key, value in zip(heads_of(queries, heads), keys, values, strict=True):
        scores = np.einsum("nsf,ntf->nst", query, key) / math.sqrt(query.shape[-1])
        parts.append(np.einsum("nst,ntf->nsf", scipy.special.softmax(scores, -1), value))
    return np.concatenate(parts, -1)


def convolved(x, weights, name, heads, size):
    queries, points = linear(x, weights, f"{name}.query"), linear(x, weights, f"{name}.points")
    tokens, depthwise = x.shape[1], weights[f"{name}.span.0.weight"]
    around = [(t, j, t + j - size // 2) for t in range(tokens) for j in range(size) if 0 <= t + j - size // 2 < tokens]
    span = np.zeros_like(x)
    for t, j, other in around:
        span[:, t] += depthwise[:, 0, j] * x[:, other]
    span = span @ weights[f"{name}.span.1.weight"][:, :, 0].T + weights[f"{name}.span.1.bias"]
    kernels = heads_of(linear(span * queries, weights, f"{name}.kernels"), heads)
    kernels = [scipy.special.softmax(kernel, -1) for kernel in kernels]
    found = [np.zeros_like(part) for part in heads_of(points, heads)]
    for sums, kernel, part in zip(found, kernels, heads_of(points, heads), strict=True):
        for t, j, other in around:
            sums[:, t] += kernel[:, t, j, None] * part[:, other]
    return np.concatenate([attended(queries, x, weights, name, heads), *found], -1)
