"""The backward pass from the logits to the inputs."""

import math

import torch
from torch import Tensor

from zcfast.passes.base import Pass, Results
from zcfast.passes.batch import Batch
from zcfast.passes.embedding import require_real
from zcfast.passes.forward import Forward, SharedForward, differentiate
from zcfast.passes.net import Net
from zcfast.passes.observation import Observation
from zcfast.passes.sum_of_logits import check_sum_of_logits


class InputJacobian(Pass):
    """[N, D]: the derivative of the sum of all logits by each sample.

    Of several inputs it is that by all floating ones, and by the outputs of the embeddings of tokens, side by side.
    """

    requires = (Forward,)
    reads = "inputs"
    cost = 1.0

    def observe(self, forward: Observation) -> None:
        """The inputs need a gradient."""
        forward.need_input_gradients()

    def run(self, net: Net, batch: Batch, done: Results) -> Tensor:
        """Differentiate the sum of the logits."""
        forward: SharedForward = done[Forward]
        forward.recording.check_gradients()
        logits = forward.logits
        require_real(batch.inputs, forward.points)
        found = differentiate(logits.sum(), forward.points, retain_graph=True)
        rows = torch.cat([each.detach().reshape(len(each), math.prod(each.shape[1:])) for each in found], 1)
        moved = sum((row * point.detach()).abs().sum().item() for row, point in zip(found, forward.points, strict=True))
        check_sum_of_logits(
            logits, moved, rows.norm().item(), lambda value: forward.differentiate(value, forward.points)
        )
        return rows
