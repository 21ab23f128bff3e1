"""What an encoder layer mixes its tokens by: attention, attention beside a span convolution, or a fixed transform."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from zcfast.spaces.nasbench_bert.layers import Convolution, Linear


class SelfAttention(nn.Module):
    """Attention by scaled dot products; ``weighted`` puts another matrix between queries and keys."""

    def __init__(self, hidden: int, heads: int, weighted: bool) -> None:
        """Take the features of a token and the number of heads."""
        super().__init__()
        self.heads = heads
        query = Linear(hidden, hidden)
        self.query = nn.Sequential(query, Linear(hidden, hidden, bias=False)) if weighted else query
        self.key, self.value = Linear(hidden, hidden), Linear(hidden, hidden)

    def forward(self, x: Tensor) -> Tensor:
        """From [N, tokens, hidden] to the same shape."""
        return attended(self.query(x), self.key(x), self.value(x), self.heads)


class SpanConvolution(nn.Module):
    """Half of the heads attend; half convolve with kernels that depend on the tokens around (ConvBERT).

    Source: Jiang et al., ConvBERT: Improving BERT with Span-based Dynamic Convolution, NeurIPS 2020.
    """

    def __init__(self, hidden: int, heads: int, kernel: int) -> None:
        """Take the features of a token, the number of heads of both halves, and the tokens of a kernel."""
        super().__init__()
        self.heads, self.kernel, half = heads // 2, kernel, hidden // 2
        self.query, self.key, self.value = (Linear(hidden, half) for _ in range(3))
        around = Convolution(hidden, hidden, kernel, groups=hidden, padding=kernel // 2, bias=False)
        self.span = nn.Sequential(around, Convolution(hidden, half, 1))
        self.kernels = Linear(half, self.heads * kernel)
        self.points = Linear(hidden, half)

    def forward(self, x: Tensor) -> Tensor:
        """From [N, tokens, hidden] to the same shape."""
        query, span = self.query(x), self.span(x.transpose(1, 2)).transpose(1, 2)
        global_half = attended(query, self.key(x), self.value(x), self.heads)
        return torch.cat([global_half, self._convolved(self.points(x), self.kernels(span * query))], -1)

    def _convolved(self, points: Tensor, kernels: Tensor) -> Tensor:
        """Sums over the tokens around each, [N, tokens, hidden / 2], by kernels [N, tokens, heads * kernel]."""
        reach = self.kernel // 2
        around = F.pad(points, (0, 0, reach, reach)).unfold(1, self.kernel, 1)
        shape = *points.shape[:2], self.heads
        weights = kernels.reshape(*shape, self.kernel, 1).softmax(-2)
        return (around.reshape(*shape, -1, self.kernel) @ weights).reshape(points.shape)


class Transform(nn.Module):
    """A linear layer, and a fixed transform of each head over tokens and features; nothing is added to what comes."""

    def __init__(self, hidden: int, heads: int, cosine: bool) -> None:
        """Take the features of a token and the number of heads; ``cosine`` or the real part of Fourier's."""
        super().__init__()
        self.heads, self.cosine = heads, cosine
        self.input = Linear(hidden, hidden)

    def forward(self, x: Tensor) -> Tensor:
        """From [N, tokens, hidden] to the same shape."""
        each_head = split(self.input(x), self.heads)
        if not self.cosine:
            return joined(torch.fft.fft2(each_head).real)
        return joined(_cosines(_cosines(each_head).transpose(-2, -1)).transpose(-2, -1))


def _cosines(x: Tensor) -> Tensor:
    """The discrete cosine transform of the last dimension: type II, without normalisation."""
    size = x.shape[-1]
    angles = torch.arange(size, dtype=x.dtype, device=x.device) * (math.pi / (2 * size))
    found = torch.fft.fft(torch.cat([x[..., ::2], x[..., 1::2].flip(-1)], -1))
    cosines: Tensor = 2 * (found.real * angles.cos() + found.imag * angles.sin())
    return cosines


def attended(query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    """Attention of each head, from [N, tokens, features] to the same shape."""
    parts = [split(each, heads) for each in (query, key, value)]
    return joined(F.scaled_dot_product_attention(parts[0], parts[1], parts[2]))


def split(x: Tensor, heads: int) -> Tensor:
    """From [N, tokens, hidden] to [N, heads, tokens, hidden / heads]."""
    return x.reshape(*x.shape[:2], heads, -1).transpose(1, 2)


def joined(x: Tensor) -> Tensor:
    """From [N, heads, tokens, features] to [N, tokens, heads * features]."""
    return x.transpose(1, 2).flatten(2)
