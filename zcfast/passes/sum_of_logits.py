"""Whether the sum of the logits, which some scores differentiate, moves by more than rounding."""

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from zcfast.passes.failures import ProxyError


def check_sum_of_logits(
    logits: Tensor, moved: float, size: float, differentiate: Callable[[Tensor], Iterable[Tensor]]
) -> None:
    """Raise ProxyError where the sum hardly moves, so that its derivatives are rounding errors.

    Behind a softmax it is a constant, and behind a BatchNorm in training mode that of all samples. Where all that the
    derivatives make of what they are by is small beside the logits, a sum that does not cancel is differentiated too.

    Args:
        logits: with their graph.
        moved: the sum of the absolute products of the derivatives and what they are by.
        size: the norm of the derivatives.
        differentiate: gives the derivatives of a scalar, made of the logits, by the same.
    """
    if not logits.is_floating_point():
        return
    share: float = torch.finfo(logits.dtype).eps ** 0.5
    if not moved < share * logits.detach().abs().sum().item():
        return
    pattern = torch.arange(1, logits.numel() + 1, dtype=torch.float64, device=logits.device).cos().view(logits.shape)
    others = differentiate((logits * pattern.to(logits.dtype)).sum())
    if size < share * math.sqrt(sum(each.double().square().sum().item() for each in others)):
        raise ProxyError("undefined", "the sum of the logits hardly depends on the input: rounding decides over it")
