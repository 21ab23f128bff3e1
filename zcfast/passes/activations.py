"""Outputs of the counted layers with the gradients of the loss by them."""

from zcfast.passes.base import Pass, Results
from zcfast.passes.batch import Batch
from zcfast.passes.forward import Forward
from zcfast.passes.loss_gradient import LossGradient
from zcfast.passes.net import Net
from zcfast.passes.observation import Observation
from zcfast.passes.recording import Activations as Recorded


class Activations(Pass):
    """LossGradient that also reaches the outputs of the counted layers."""

    requires = (Forward, LossGradient)

    def observe(self, forward: Observation) -> None:
        """The outputs stay until the backward pass."""
        forward.keep_outputs()

    def run(self, net: Net, batch: Batch, done: Results) -> Recorded:
        """Take the outputs and their gradients from the pass that made them: they are large."""
        done[Forward].recording.check_outputs()
        gradients = done[LossGradient]
        recorded, gradients.recorded = gradients.recorded, None
        return recorded or Recorded(net.layers, [[] for _ in net.layers])
