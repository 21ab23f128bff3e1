"""Which class each sample is of, and how many classes the net tells apart."""

from dataclasses import dataclass

import torch
from torch import Tensor

from zcfast.passes.base import Pass, Results
from zcfast.passes.batch import IGNORED, Batch
from zcfast.passes.failures import ProxyError
from zcfast.passes.forward import Forward, SharedForward
from zcfast.passes.net import Net


@dataclass(frozen=True)
class Labels:
    """Classes of the minibatch.

    Attributes:
        samples: [N] int64, the class of each sample; negative of one that does not count.
        classes: how many logits the net has for a sample.
    """

    samples: Tensor
    classes: int


class ClassLabels(Pass):
    """The targets as classes of the samples."""

    requires = (Forward,)

    def run(self, net: Net, batch: Batch, done: Results) -> Labels:
        """Look at the targets and the logits.

        Raises:
            ProxyError: the targets are no class for each sample, or the net has no logits for each.
        """
        forward: SharedForward = done[Forward]
        targets, logits = batch.targets, forward.logits
        integers = not (targets.is_floating_point() or targets.is_complex() or targets.dtype == torch.bool)
        if targets.dim() != 1 or not integers:
            raise ProxyError("undefined", f"one class a sample is needed, got {targets.dtype} {tuple(targets.shape)}")
        if logits.dim() != 2 or len(logits) != len(targets):
            raise ProxyError("undefined", f"logits [N, classes] are needed, got shape {tuple(logits.shape)}")
        return Labels(targets.to(torch.int64).masked_fill(targets == IGNORED, -1), logits.shape[1])
