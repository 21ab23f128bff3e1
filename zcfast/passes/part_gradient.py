"""The gradient of the loss on a part of the minibatch, by passes of its own."""

from torch import Tensor

from zcfast.passes.batch import Batch
from zcfast.passes.forward import differentiate
from zcfast.passes.net import Net
from zcfast.passes.recording import gradient_checks
from zcfast.passes.references import check_references, check_unchanged


def part_gradient(net: Net, part: Batch) -> list[Tensor]:
    """Run forward and backward from the state that the first pass began with.

    Args:
        net: the net.
        part: some samples, with the loss that is theirs alone.

    Returns:
        L gradients, of each layer's weight as a whole.

    Raises:
        ProxyError: the net or its loss gives no gradient, or mixes weights.
    """
    net.slots.check_hooks()
    logits = part.found_logits(net.forward(part.inputs, gradient_checks(net.layers), fast=True), part.samples)
    check_unchanged(zip(net.layers, net.slots.weights, net.parameters, strict=True))
    loss = part.loss(logits, part.tensors()[1])
    check_references(net.module, net.slots.parameters, net.copies, logits, loss)
    return net.slots.shared(differentiate(loss, [net.copies[index] for index in net.slots.counted]))
