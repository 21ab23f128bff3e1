"""Second-order quantities of the loss over the counted weights, exactly or by the scale invariance of BatchNorm."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node

from zcfast.ops import saliency_reduce
from zcfast.tracing.layers import Layer
from zcfast.tracing.parameters import Slots
from zcfast.tracing.passes import ProxyError
from zcfast.tracing.recording import Recording

_LARGEST_SHARE = 0.01  # of eps in what BatchNorm divides by; the error of a layer stays below it
_NO_VARIANCE = 1 - 1e-6  # share of eps where a channel is constant: it has no gradient, whatever its scale


def directions(slots: Slots, gradients: Sequence[Tensor]) -> list[Tensor]:
    """The gradient as a direction, one tensor for each counted slot.

    A tied weight enters the gradient, and so the product, once for each layer it serves.
    """
    result: list[Tensor] = [torch.zeros_like(gradient, requires_grad=False) for gradient in gradients]
    shared = [direction.detach() for direction in slots.shared(gradients)]
    for group, direction in zip(slots.groups, shared, strict=True):
        for rank in group:
            result[rank] = result[rank] + direction
    return result


def double_backward(gradients: Sequence[Tensor], leaves: Sequence[Tensor], along: Sequence[Tensor]) -> list[Tensor]:
    """Multiply the Hessian over the counted weights by a direction, as the gradient of a gradient.

    Args:
        gradients: gradient of the loss by each leaf, with its graph.
        leaves: the stand-in of each counted slot.
        along: the direction, one tensor for each leaf.

    Raises:
        ProxyError: an operation's derivative cannot be differentiated.
    """
    if any("Error" in node.name() for node in _consumers(gradients)):
        # It is on no path to the weights, so nothing would raise and its part would be missing.
        raise ProxyError("failed", "an operation of the net is marked once_differentiable")
    reached = [rank for rank, gradient in enumerate(gradients) if gradient.requires_grad]
    found: Sequence[Tensor | None] = [None] * len(leaves)
    if reached:
        found = torch.autograd.grad(
            [gradients[rank] for rank in reached], leaves, [along[rank] for rank in reached], allow_unused=True
        )
    return [torch.zeros_like(leaf) if part is None else part for leaf, part in zip(leaves, found, strict=True)]


@dataclass(frozen=True)
class Invariance:
    """The layers whose scale changes the loss.

    Attributes:
        classifier: index of the linear layer that puts out the logits, if it is the only such layer.
        others: indices of them all, where there are more.
    """

    classifier: int | None
    others: Sequence[int]


def invariant_grasp(
    gradients: Sequence[Tensor],
    weights: Sequence[Tensor],
    invariance: Invariance,
    products: Sequence[Tensor],
    classifier_part: float,
) -> Tensor:
    """GraSP of each layer, where the loss does not change with the scale of most weights.

    A layer W followed by BatchNorm in training mode has <W, g> = 0 for every value of all weights. Its derivative
    along the gradient gives <W, Hg> = -||g||^2, so the layer scores ||g||^2. A layer of `others` scores -<W, Hg>, and a
    lone linear classifier ||g||^2 less its `classifier_part`.

    Args:
        gradients, weights: one tensor a layer.
        invariance: which layers do not score ||g||^2.
        products: (Hg) of each layer of `others`.
        classifier_part: of `classifier_slope`.

    Returns:
        [L] float64. Exact but for BatchNorm's eps, which breaks the invariance where a channel's variance is small.
    """
    values = saliency_reduce(gradients, gradients, ["square"])[0]
    if invariance.classifier is not None:
        values[invariance.classifier] -= classifier_part
    if invariance.others:
        own = [weights[index] for index in invariance.others]
        values[list(invariance.others)] = -saliency_reduce(own, products, ["product"])[0]
    return values


def classifier_part(
    classifier: Layer,
    leaves: Sequence[Tensor],
    gradients: Sequence[Tensor],
    logits: Tensor,
    loss_of_logits: Callable[[Tensor], Tensor],
) -> float:
    """Derivative along the gradient g of <V, dLoss/dV> for the classifier V of the logits z = V h + b.

    <V, dLoss/dV> is s(z) = <z - b, dLoss/dz>, so the derivative is <ds/dweights, g>: one backward pass from the logits.
    """
    bias = classifier.module.bias
    slope = _logit_slope(logits, bias if isinstance(bias, Tensor) else None, loss_of_logits)
    found = torch.autograd.grad(logits, leaves, slope, allow_unused=True)
    pairs = [(part, gradient) for part, gradient in zip(found, gradients, strict=True) if part is not None]
    return saliency_reduce([part for part, _ in pairs], [own for _, own in pairs], ["product"]).sum().item()


def _logit_slope(logits: Tensor, bias: Tensor | None, loss_of_logits: Callable[[Tensor], Tensor]) -> Tensor:
    """Derivative of s(z) = <z - b, dLoss/dz> by the logits."""
    point = logits.detach().requires_grad_()
    (first,) = torch.autograd.grad(loss_of_logits(point), point, create_graph=True)
    linear = point if bias is None else point - bias.detach()
    (slope,) = torch.autograd.grad((linear * first).sum(), point)
    return slope


def find_invariance(
    layers: Sequence[Layer], slots: Slots, leaves: Sequence[Tensor], loss: Tensor, logits: Tensor, recording: Recording
) -> Invariance:
    """Tell the layers that lead into BatchNorm alone from all others.

    Raises:
        ProxyError: there is none of the former, weights are tied, or BatchNorm's eps is not small to some variance.
    """
    if slots.tied:
        raise ProxyError("refused", "scale_invariant: the net ties weights of counted layers")
    consumers = _consumers([loss])
    uses = {id(node.variable): following for node, following in consumers.items() if hasattr(node, "variable")}
    calls: list[list[Node]] = [[] for _ in layers]
    for layer, node in zip(recording.layer, recording.nodes, strict=True):
        if node is not None and node in consumers:  # else the loss does not depend on this call
            calls[layer].append(node)
    variant, invariant = [], 0
    for index, nodes in enumerate(calls):
        used_by = [_past_transposition(node, consumers) for node in uses.get(id(leaves[slots.own[index]]), [])]
        elsewhere = len(used_by) != len(nodes) or not set(used_by) <= set(nodes)  # or changed on the way to its calls
        if elsewhere or not all(_leads_into_batchnorm(node, consumers) for node in nodes):
            variant.append(index)
        elif nodes:
            invariant += 1
            share = max(_share_of_eps(_following(node, consumers)[0]) for node in nodes)
            if share > _LARGEST_SHARE:
                near = f"is within {1 / share:.3g} times BatchNorm's eps"
                raise ProxyError("refused", f"scale_invariant: the variance behind layer {layers[index].name!r} {near}")
    if not invariant:
        name = layers[variant[0]].name if variant else ""
        raise ProxyError("refused", f"scale_invariant: layer {name!r} is not followed by train-mode BatchNorm alone")
    if len(variant) == 1 and isinstance(layers[variant[0]].module, nn.Linear):
        nodes = calls[variant[0]]
        if len(nodes) == 1 and _past_copies(nodes[0], consumers) is logits.grad_fn:
            return Invariance(variant[0], [])
    return Invariance(None, variant)


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


def _following(node: Node, consumers: dict[Node, list[Node]]) -> list[Any]:
    return consumers[_past_copies(node, consumers)]


def _past_transposition(node: Node, consumers: dict[Node, list[Node]]) -> Node:
    """Follow the transposition of a linear layer's weight."""
    following = consumers[node]
    return following[0] if len(following) == 1 and node.name() == "TBackward0" else node


def _share_of_eps(norm: Any) -> float:
    """The largest eps / (variance + eps) of a channel of a BatchNorm that is not constant: how far from invariant."""
    eps = getattr(norm, "_saved_eps", None)
    shares = (norm._saved_epsilon if eps is None else eps) * norm._saved_result2.double().square()
    return shares[shares < _NO_VARIANCE].max().item() if bool((shares < _NO_VARIANCE).any()) else 0.0


def _leads_into_batchnorm(node: Node, consumers: dict[Node, list[Node]]) -> bool:
    following = _following(node, consumers)
    if len(following) != 1 or "BatchNorm" not in following[0].name():
        return False
    return bool(getattr(following[0], "_saved_training", False))
