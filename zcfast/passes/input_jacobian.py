"""The backward pass from the logits to the inputs."""

import math

import torch
from torch import Tensor

from zcfast.passes.base import Pass, Results
from zcfast.passes.batch import Batch
from zcfast.passes.embedding import require_real
from zcfast.passes.forward import Forward, SharedForward
from zcfast.passes.net import Net
from zcfast.passes.observation import Observation


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
        rows = forward.differentiate(logits.sum(), forward.points)
        return torch.cat([each.detach().reshape(len(each), math.prod(each.shape[1:])) for each in rows], 1)
