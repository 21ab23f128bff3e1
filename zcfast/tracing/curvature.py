"""Second-order quantities of the loss over the counted weights, exactly or by the scale invariance of BatchNorm."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node

from zcfast.ops import saliency_reduce
from zcfast.tracing.layers import Layer
from zcfast.tracing.parameters import Slots
from zcfast.tracing.passes import ProxyError
from zcfast.tracing.recording import Recording


def hessian_vector_product(slots: Slots, leaves: Sequence[Tensor], gradients: Sequence[Tensor]) -> list[Tensor]:
    """Multiply the Hessian over the counted weights by the gradient itself.

    Args:
        slots: where the counted weights are held.
        leaves: the stand-in of each counted slot.
        gradients: gradient of the loss by each leaf, with its graph.

    Returns:
        L tensors, one a layer. A tied weight enters the gradient, and so the product, once for each layer it serves.

    Raises:
        ProxyError: an operation's derivative cannot be differentiated.
    """
    if any("Error" in node.name() for node in _consumers(gradients)):
        # It is on no path to the weights, so nothing would raise and its part would be missing.
        raise ProxyError("failed", "an operation of the net is marked once_differentiable")
    directions: list[Tensor] = [torch.zeros_like(leaf) for leaf in leaves]
    shared = [direction.detach() for direction in slots.shared(gradients)]
    for group, direction in zip(slots.groups, shared, strict=True):
        for rank in group:
            directions[rank] = directions[rank] + direction
    reached = [rank for rank, gradient in enumerate(gradients) if gradient.requires_grad]
    found: Sequence[Tensor | None] = [None] * len(leaves)
    if reached:
        found = torch.autograd.grad(
            [gradients[rank] for rank in reached],
            leaves,
            [directions[rank] for rank in reached],
            allow_unused=True,
        )
    filled = [torch.zeros_like(leaf) if part is None else part for leaf, part in zip(leaves, found, strict=True)]
    return slots.shared(filled)


def invariant_grasp(
    layers: Sequence[Layer],
    slots: Slots,
    leaves: Sequence[Tensor],
    gradients: Sequence[Tensor],
    loss: Tensor,
    logits: Tensor,
    loss_of_logits: Callable[[Tensor], Tensor],
    recording: Recording,
) -> Tensor:
    """GraSP of each layer without a second-order pass, where the loss does not change with the scale of the weights.

    A layer W followed by BatchNorm in training mode has <W, g> = 0 for every value of all weights. Its derivative
    along the gradient gives <W, Hg> = -||g||^2, so the layer scores ||g||^2. The linear classifier V of logits
    z = V h + b has <V, g> = s(z) = <z - b, dLoss/dz>, whose derivative along the gradient is <ds/dweights, g>: one
    backward pass from the logits. Its score is ||g||^2 - <ds/dweights, g>.

    Returns:
        [L] float64. Exact but for BatchNorm's eps, which breaks the invariance where a channel's variance is small.

    Raises:
        ProxyError: a counted layer is neither followed by BatchNorm alone nor the linear classifier.
    """
    if slots.tied:
        raise ProxyError("refused", "scale_invariant: the net ties weights of counted layers")
    classifier = _find_classifier(layers, loss, logits, recording)
    squares = saliency_reduce(gradients, gradients, ["square"])[0]
    if classifier is None:
        return squares
    bias = layers[classifier].module.bias
    slope = _logit_slope(logits, bias if isinstance(bias, Tensor) else None, loss_of_logits)
    own = [leaves[rank] for rank in slots.own]
    found = torch.autograd.grad(logits, own, slope, allow_unused=True, retain_graph=True)
    pairs = [(part, gradient) for part, gradient in zip(found, gradients, strict=True) if part is not None]
    products = saliency_reduce([part for part, _ in pairs], [gradient for _, gradient in pairs], ["product"])
    squares[classifier] -= products.sum()
    return squares


def _logit_slope(logits: Tensor, bias: Tensor | None, loss_of_logits: Callable[[Tensor], Tensor]) -> Tensor:
    """Derivative of s(z) = <z - b, dLoss/dz> by the logits."""
    point = logits.detach().requires_grad_()
    (first,) = torch.autograd.grad(loss_of_logits(point), point, create_graph=True)
    linear = point if bias is None else point - bias.detach()
    (slope,) = torch.autograd.grad((linear * first).sum(), point)
    return slope


def _find_classifier(layers: Sequence[Layer], loss: Tensor, logits: Tensor, recording: Recording) -> int | None:
    """Index of the layer that puts out the logits; every other layer must lead into BatchNorm alone."""
    consumers = _consumers([loss])
    classifier: int | None = None
    for layer, node in zip(recording.layer, recording.nodes, strict=True):
        if node is None or node not in consumers:
            continue  # the loss does not depend on this call
        if isinstance(layers[layer].module, nn.Linear) and _past_copies(node, consumers) is logits.grad_fn:
            if classifier is not None:
                raise ProxyError("refused", "scale_invariant: expected one linear classifier, got more")
            classifier = layer
        elif not _leads_into_batchnorm(node, consumers):
            name = layers[layer].name
            raise ProxyError(
                "refused", f"scale_invariant: layer {name!r} is not followed by train-mode BatchNorm alone"
            )
    if classifier is not None and recording.layer.count(classifier) > 1:
        raise ProxyError("refused", "scale_invariant: the linear classifier runs more than once")
    return classifier


def _consumers(results: Sequence[Tensor]) -> dict[Node, list[Node]]:
    """For each node of the graph behind the results, the nodes that take what it gives."""
    stack = [result.grad_fn for result in results if result.grad_fn is not None]
    consumers: dict[Node, list[Node]] = {node: [] for node in stack}
    while stack:
        node = stack.pop()
        for source in _sources(node):
            if source not in consumers:
                consumers[source] = []
                stack.append(source)
            consumers[source].append(node)
    return consumers


def _sources(node: Node) -> Iterator[Node]:
    for source, _ in node.next_functions:
        if source is not None:
            yield source


def _past_copies(node: Node, consumers: dict[Node, list[Node]]) -> Node:
    """Follow the copy that protects a kept activation."""
    following = consumers[node]
    return following[0] if len(following) == 1 and following[0].name() == "CloneBackward0" else node


def _leads_into_batchnorm(node: Node, consumers: dict[Node, list[Node]]) -> bool:
    following: list[Any] = consumers[_past_copies(node, consumers)]
    if len(following) != 1 or "BatchNorm" not in following[0].name():
        return False
    return bool(getattr(following[0], "_saved_training", False))
