"""The backward pass from the loss to the counted weights."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from zcfast.ops import saliency_reduce
from zcfast.passes.base import Pass, Results
from zcfast.passes.batch import Batch
from zcfast.passes.failures import ProxyError
from zcfast.passes.forward import Forward, SharedForward
from zcfast.passes.net import Net, equal_to_rounding
from zcfast.passes.observation import Observation
from zcfast.passes.recording import Activations as Recorded
from zcfast.passes.references import check_references, check_unchanged

_KINDS = ("abs_product", "product", "square")


@dataclass
class LossGradients:
    """Gradients of the loss.

    Attributes:
        weights: L weights of the counted layers.
        gradients: L gradients by the layers' weights.
        own_gradients: the same by each layer's own use of its weight: it differs where weights are tied.
        by_place: one for each place that holds the weight of a counted layer.
        logits, loss: what was differentiated, without a graph.
        recorded: outputs of the layers with their gradients, where a pass takes them.
    """

    weights: Sequence[Tensor]
    gradients: list[Tensor]
    own_gradients: list[Tensor]
    by_place: list[Tensor]
    logits: Tensor
    loss: Tensor
    recorded: Recorded | None

    def saliency(self, kind: str) -> Tensor:
        """Sum a saliency over each layer: "square" g^2, "product" W g, "abs_product" |W g|.

        "abs_product" takes the gradient by each layer's own use of its weight, the others that of the whole weight.

        Returns:
            [L] float64.
        """
        return self._saliencies[kind]

    @cached_property
    def _saliencies(self) -> dict[str, Tensor]:
        """All kinds, in one sweep over memory."""
        sums = dict(zip(_KINDS, saliency_reduce(self.weights, self.gradients, _KINDS), strict=True))
        if any(own is not shared for own, shared in zip(self.own_gradients, self.gradients, strict=True)):
            sums["abs_product"] = saliency_reduce(self.weights, self.own_gradients, ["abs_product"])[0]
        return sums

    def check_loss(self, batch: Batch) -> None:
        """Raise ProxyError where a second call of the caller's loss gives another value."""
        if batch.loss_fn is None:
            return
        with torch.no_grad():
            again = batch.loss(self.logits, batch.tensors()[1])
        if not equal_to_rounding(self.loss, again):
            raise ProxyError(
                "refused", "loss_fn has another value at a second call: it keeps state or draws random numbers"
            )


class LossGradient(Pass):
    """One backward pass from the loss to the counted weights, and to the outputs of layers that were kept."""

    requires = (Forward,)
    cost = 2.0

    def observe(self, forward: Observation) -> None:
        """The forward pass needs a graph."""
        forward.need_gradients()

    def run(self, net: Net, batch: Batch, done: Results) -> LossGradients:
        """Differentiate the loss."""
        forward: SharedForward = done[Forward]
        forward.recording.check_gradients()
        net.slots.check_hooks()
        if forward.changed is not None:
            raise forward.changed.as_error()
        logits = forward.logits
        loss = batch.loss(logits, batch.tensors()[1])
        known = [*forward.installed, *forward.points]
        check_references(net.module, net.slots.parameters, known, logits, loss)
        recording, count = forward.recording, len(forward.leaves)
        with ExitStack() as stack:
            for pulls in forward.pulls:
                stack.enter_context(pulls.listening())
            others = forward.installed if forward.pulls else []  # to whose activations the backward pass must come too
            found = forward.differentiate(loss, [*forward.leaves, *recording.outputs, *others])
        if forward.pulls:  # which run code of the user's
            check_unchanged(zip(net.layers, net.slots.weights, forward.weights, strict=True))
        # As the weights lie in memory: what is summed with them, and what alone, is summed in the same order.
        by_place = [gradient.contiguous() for gradient in found[:count]]
        hidden = not recording.outputs or recording.transformed is not None
        return LossGradients(
            weights=net.slots.weights,
            gradients=net.slots.shared(by_place),
            own_gradients=net.slots.of_layers(by_place),
            by_place=by_place,
            logits=logits.detach(),
            loss=loss.detach(),
            recorded=None
            if hidden
            else recording.with_gradients(net.layers, found[count : count + len(recording.outputs)]),
        )
