"""The networks of NAS-Bench-BERT."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from zcfast.spaces.nasbench_bert.layers import Embedding, Linear
from zcfast.spaces.nasbench_bert.mixing import SelfAttention, SpanConvolution, Transform

VOCABULARY, TOKENS, SEGMENTS, FEATURES = 30_522, 512, 2, 128  # of the embeddings; 512 is the longest text
PADDING = 0  # the token that says nothing
EPSILON = 1e-12  # of all norms
CLASSES = 2  # of a token: left as it was, or replaced
OPERATIONS = ("SDP", "WMA", "DFT", "DCT", "DSC5", "DSC9")


@dataclass(frozen=True)
class Layer:
    """One encoder layer.

    Attributes:
        operation: one of ``OPERATIONS``: attention by scaled dot products or weighted multiplicative, a discrete
            Fourier or cosine transform, a span convolution of 5 or 9 tokens.
        heads: of the operation, 2 or 4.
        width: features of its feed-forward layers, 512 or 1024.
        depth: how many feed-forward layers of that width there are, 1 or 3.
    """

    operation: str
    heads: int
    width: int
    depth: int


class Embeddings(nn.Module):
    """Of tokens, of their places, and of the text that they are of, which is the first one."""

    def __init__(self) -> None:
        """Draw the embeddings."""
        super().__init__()
        self.tokens = Embedding(VOCABULARY, FEATURES, padding_idx=PADDING)
        self.places = Embedding(TOKENS, FEATURES)
        self.segments = Embedding(SEGMENTS, FEATURES)
        self.norm = nn.LayerNorm(FEATURES, eps=EPSILON)

    def forward(self, tokens: Tensor) -> Tensor:
        """From tokens int64 [N, T], T at most 512, to [N, T, 128]."""
        if tokens.dim() != 2 or tokens.shape[1] > TOKENS:
            raise ValueError(f"tokens: expected [N, at most {TOKENS}], got {list(tokens.shape)}")
        places = self.places.weight[: tokens.shape[1]]
        embedded: Tensor = self.norm(self.tokens(tokens) + places + self.segments.weight[0])
        return embedded


class Residual(nn.Module):
    """A norm of the sum of what comes and what is made of it."""

    def __init__(self, hidden: int, *inner: nn.Module) -> None:
        """Take the features of a token and the layers that make it."""
        super().__init__()
        self.inner = nn.Sequential(*inner)
        self.norm = nn.LayerNorm(hidden, eps=EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        """From [N, tokens, hidden] to the same shape."""
        summed: Tensor = self.norm(x + self.inner(x))
        return summed


class Encoder(nn.Module):
    """From tokens int64 [N, T] to their features [N, T, hidden]."""

    def __init__(self, hidden: int, layers: Sequence[Layer]) -> None:
        """Take the features of a token between all layers, and the layers."""
        super().__init__()
        self.embeddings = Embeddings()
        self.project = nn.Identity() if hidden == FEATURES else Linear(FEATURES, hidden)
        self.layers = nn.Sequential(*(_layer(hidden, each) for each in layers))

    def forward(self, tokens: Tensor) -> Tensor:
        """See the class."""
        features: Tensor = self.layers(self.project(self.embeddings(tokens)))
        return features


class Discriminator(nn.Module):
    """The encoder and the head by which ELECTRA pre-trains it: which tokens were replaced, as logits [N, 2, T]."""

    def __init__(self, hidden: int, layers: Sequence[Layer]) -> None:
        """As for ``Encoder``."""
        super().__init__()
        self.encoder = Encoder(hidden, layers)
        self.head = nn.Sequential(Linear(hidden, hidden), nn.GELU(), Linear(hidden, CLASSES))

    def forward(self, tokens: Tensor) -> Tensor:
        """See the class."""
        logits: Tensor = self.head(self.encoder(tokens))
        return logits.transpose(1, 2)


def _layer(hidden: int, layer: Layer) -> nn.Sequential:
    forward: list[nn.Module] = [Linear(hidden, layer.width), nn.GELU()]
    for _ in range(layer.depth - 1):
        forward += [Linear(layer.width, layer.width), nn.GELU()]
    return nn.Sequential(_mixing(hidden, layer), Residual(hidden, *forward, Linear(layer.width, hidden)))


def _mixing(hidden: int, layer: Layer) -> nn.Module:
    if layer.operation in ("DFT", "DCT"):
        return Transform(hidden, layer.heads, cosine=layer.operation == "DCT")
    attends = (
        SelfAttention(hidden, layer.heads, weighted=layer.operation == "WMA")
        if layer.operation in ("SDP", "WMA")
        else SpanConvolution(hidden, layer.heads, kernel=int(layer.operation.removeprefix("DSC")))
    )
    return Residual(hidden, attends, Linear(hidden, hidden))
