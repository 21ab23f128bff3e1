"""The backward pass from the logits to the inputs."""

from torch import Tensor

from zcfast.passes.base import Pass, Results
from zcfast.passes.batch import Batch
from zcfast.passes.embedding import without_embedding
from zcfast.passes.forward import Forward, SharedForward
from zcfast.passes.net import Net
from zcfast.passes.observation import Observation


class InputJacobian(Pass):
    """[N, D]: the derivative of the sum of all logits by each sample, of tokens by the output of their embedding."""

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
        if forward.point is None:
            raise without_embedding(batch.inputs)
        (rows,) = forward.differentiate(logits.sum(), [forward.point])
        return rows.detach().flatten(1)
