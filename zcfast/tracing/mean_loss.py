"""Whether a loss is a mean over samples, as it must be where a minibatch runs in parts."""

import torch
from torch import Tensor

from zcfast.tracing.batch import Batch, rounding
from zcfast.tracing.passes import ProxyError, describe


class MeanLoss:
    """Compares the loss of each part and the part before it, taken together, with the mean of both.

    By the derivatives by the logits, through which alone the loss reaches the net: weights of classes or samples, sums
    and ignored targets show themselves where parts differ in them. No more than two parts of logits are in memory.
    """

    def __init__(self, batch: Batch) -> None:
        """Take the minibatch, whose loss it is."""
        self.batch = batch
        self._before: tuple[Tensor, Tensor] | None = None

    def check(self, logits: Tensor, targets: Tensor) -> None:
        """Raise ProxyError unless the loss of this part and the one before is the mean of both."""
        part, before = (logits.detach(), targets), self._before
        self._before = part
        if before is None:
            return
        size = len(before[1]) + len(targets)
        shares = [self._slope(*each) * (len(each[1]) / size) for each in (before, part)]
        try:
            whole = self._slope(torch.cat([before[0], part[0]]), torch.cat([before[1], targets]))
            error = (torch.cat(shares) - whole).abs().max()
        except Exception as raised:  # logits whose first dimension is not that of the samples, for one
            reason = f"microbatch: loss_fn cannot take two parts as one: {describe(raised).reason}"
            raise ProxyError("refused", reason) from raised
        if error > rounding(whole.dtype) * whole.abs().max():
            raise ProxyError("refused", "microbatch: loss_fn is not a mean over samples, so parts do not add up")

    def _slope(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Derivative of the loss by the logits."""
        point = logits.detach().requires_grad_()
        (slope,) = torch.autograd.grad(self.batch.loss(point, targets), point)
        return slope
