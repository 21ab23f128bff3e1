"""One transformer block's attention, written in several ways that compute the same."""

import torch
import torch.nn as nn
import torch.nn.functional as F  # noqa: N812


class Attention(nn.Module):
    """Two heads of width 4 on [N, T, 8], its way chosen by name."""

    def __init__(self, way, width=8, heads=2):
        super().__init__()
        self.way, self.heads = way, heads
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)

    def forward(self, x, mask=None):
        held = self.attention
        if self.way == "module":
            return held(x, x, x, need_weights=False)[0]
        if self.way == "module with weights":
            return held(x, x, x)[0]
        q, k, v = (self.split(part) for part in F.linear(x, held.in_proj_weight, held.in_proj_bias).chunk(3, -1))
        return F.linear(
            getattr(self, self.way)(q, k, v).transpose(1, 2).flatten(2), held.out_proj.weight, held.out_proj.bias
        )

    def split(self, x):
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def fused(self, q, k, v):
        return F.scaled_dot_product_attention(query=q, key=k, value=v)

    def products(self, q, k, v):
        scores = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
        scores += torch.zeros_like(scores)
        return F.dropout(scores.masked_fill(scores.isnan(), 0).softmax(-1), 0.0) @ v

    def batched(self, q, k, v):
        n, h = q.shape[:2]
        q, k, v = (each.flatten(0, 1) for each in (q, k, v))
        scores = (torch.bmm(q, k.transpose(1, 2)) * q.shape[-1] ** -0.5).view(n, h, q.shape[1], -1)
        shares = F.softmax(scores, dim=-1, dtype=q.dtype).view(n * h, q.shape[1], -1)
        return torch.bmm(shares, v).view(n, h, q.shape[1], -1)

    def biased(self, q, k, v):
        n, h = q.shape[:2]
        q, k, v = (each.flatten(0, 1) for each in (q, k, v))
        bias = torch.zeros(n * h, q.shape[1], k.shape[1], dtype=q.dtype)
        shares = torch.baddbmm(bias, batch2=k.transpose(1, 2), batch1=q, alpha=q.shape[-1] ** -0.5).softmax(-1)
        return torch.matmul(other=v, input=shares).view(n, h, q.shape[1], -1)


WAYS = ("module", "module with weights", "fused", "products", "batched", "biased")


class Encoder(nn.Module):
    """Two blocks, normalised first."""

    def __init__(self, way, width=8, classes=3):
        super().__init__()
        self.attentions = nn.ModuleList(Attention(way, width) for _ in range(2))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(4))
        self.mlps = nn.ModuleList(
            nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)) for _ in range(2)
        )
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        for i, (attention, mlp) in enumerate(zip(self.attentions, self.mlps, strict=True)):
            x = x + attention(self.norms[2 * i](x))
            x = x + mlp(self.norms[2 * i + 1](x))
        return self.head(x.mean(1))
