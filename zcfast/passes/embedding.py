"""Where a net has its real-valued inputs: of integer tokens at the output of their embedding."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from zcfast.nets.inputs import Inputs, tensors_of
from zcfast.passes.failures import ProxyError


@dataclass
class EmbeddingTap:
    """What passed at the embedding of some tokens; output is None until it has run."""

    tokens: Tensor
    output: Tensor | None = None


def tokens_in(inputs: Inputs) -> list[Tensor]:
    """The inputs that are no numbers to compute with; masks are among them, which no embedding takes."""
    return [each for each in tensors_of(inputs) if not each.is_floating_point()]


def require_real(inputs: Inputs, found: Sequence[Tensor]) -> None:
    """Raise ProxyError unless real-valued inputs were found: floating ones, or outputs of embeddings."""
    if any(each.is_complex() for each in tensors_of(inputs)):
        raise ProxyError("undefined", "complex inputs: the formula is that of real ones")
    if not found:
        kind = "bool" if all(each.dtype == torch.bool for each in tensors_of(inputs)) else "integer"
        raise ProxyError("failed", f"{kind} inputs: no nn.Embedding was called on them, so none is real")


@contextmanager
def tapped_embeddings(
    modules: Sequence[nn.Module], tokens: Sequence[Tensor], replace: Callable[[Tensor], Tensor]
) -> Iterator[list[EmbeddingTap]]:
    """Replace the output of the first nn.Embedding or nn.EmbeddingBag that is called on each of the tokens themselves.

    Args:
        modules: all modules of the net.
        tokens: the integer inputs that the net is called with.
        replace: from the embedding's output to the tensor that flows on.
    """
    taps = list(map(EmbeddingTap, tokens))

    def hook(_: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor | None:
        received = args[0] if args else None
        for tap in taps:
            if tap.output is None and isinstance(received, Tensor) and _is_same(received, tap.tokens):
                tap.output = output
                return replace(output)
        return None

    kinds = (nn.Embedding, nn.EmbeddingBag)
    handles = [child.register_forward_hook(hook) for child in modules if taps and isinstance(child, kinds)]
    try:
        yield taps
    finally:
        for handle in handles:
            handle.remove()


def _is_same(received: Tensor, tokens: Tensor) -> bool:
    return received.shape == tokens.shape and received.device == tokens.device and torch.equal(received, tokens)
