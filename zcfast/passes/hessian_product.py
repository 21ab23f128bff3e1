"""The Hessian of the loss times its gradient."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from zcfast.nets.inputs import Inputs
from zcfast.passes.base import Pass, Results
from zcfast.passes.batch import Batch
from zcfast.passes.curvature import directions, double_backward
from zcfast.passes.forward import differentiate
from zcfast.passes.loss_gradient import LossGradient, LossGradients
from zcfast.passes.net import Net
from zcfast.passes.tangent import hessian_products
from zcfast.passes.twice_differentiable import TwiceDifferentiable


@dataclass
class HessianProducts:
    """The Hessian over the counted weights times the gradient of the loss.

    Attributes:
        weights, products: L tensors each, of equal shapes.
        method: how they were computed: by a forward pass with tangents, or as the gradient of a gradient.
    """

    weights: Sequence[Tensor]
    products: list[Tensor]
    method: Literal["tangents", "double backward"]


class HessianProduct(Pass):
    """One second-order pass, by the fastest way that is exact for the net."""

    requires = (LossGradient,)
    cost = 6.0

    def run(self, net: Net, batch: Batch, done: Results) -> HessianProducts:
        """Multiply the Hessian, on the minibatch of the gradient."""
        gradients: LossGradients = done[LossGradient]
        gradients.check_loss(batch)
        along = directions(net.slots, gradients.by_place)
        inputs, targets = batch.tensors()
        method: Literal["tangents", "double backward"] = "tangents"
        with sdpa_kernel(SDPBackend.MATH):  # fused attention has no second derivative
            net.restart()
            try:
                found = hessian_products(
                    net.slots,
                    gradients.by_place,
                    along,
                    lambda rules: net.logits(inputs, rules),
                    lambda logits: batch.loss(logits, targets),
                )
            except Exception:  # where the faster way raises, the slower one decides whether net or rule is at fault
                method = "double backward"
                found = _double_backward(net, batch, inputs, targets, along)
        return HessianProducts(net.slots.weights, net.slots.shared(found), method)


def _double_backward(net: Net, batch: Batch, inputs: Inputs, targets: Tensor, along: Sequence[Tensor]) -> list[Tensor]:
    net.restart()
    leaves = net.install()
    net.channels_last = False  # its rules cannot be differentiated twice
    with TwiceDifferentiable():
        logits = net.logits(inputs)
    gradients = differentiate(batch.loss(logits, targets), leaves, create_graph=True)
    return double_backward(gradients, leaves, along)
