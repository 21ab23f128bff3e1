"""Where a net of integer tokens has its real-valued input: at the output of its token embedding."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from zcfast.passes.failures import ProxyError


@dataclass
class EmbeddingTap:
    """What passed at the embedding of the tokens; output is None until it has run."""

    output: Tensor | None = None


def without_embedding(inputs: Tensor) -> ProxyError:
    """Why a net has no real-valued input: none of its embeddings was called on the inputs."""
    if inputs.is_complex():
        return ProxyError("undefined", "complex inputs: the formula is that of real ones")
    kind = "bool" if inputs.dtype == torch.bool else "integer"
    return ProxyError("failed", f"{kind} inputs: no nn.Embedding was called on them, so none is real")


@contextmanager
def tapped_embedding(
    modules: Sequence[nn.Module], tokens: Tensor, replace: Callable[[Tensor], Tensor]
) -> Iterator[EmbeddingTap]:
    """Replace the output of the first nn.Embedding or nn.EmbeddingBag that is called on the tokens themselves.

    Args:
        modules: all modules of the net.
        tokens: the integer inputs that the net is called with.
        replace: from the embedding's output to the tensor that flows on.
    """
    tap = EmbeddingTap()

    def hook(_: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor | None:
        received = args[0] if args else None
        if tap.output is not None or not isinstance(received, Tensor):
            return None
        if received.shape != tokens.shape or not torch.equal(received, tokens):
            return None
        tap.output = output
        return replace(output)

    kinds = (nn.Embedding, nn.EmbeddingBag)
    handles = [child.register_forward_hook(hook) for child in modules if isinstance(child, kinds)]
    try:
        yield tap
    finally:
        for handle in handles:
            handle.remove()
