"""Second-order quantities of the loss over the counted weights."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.autograd.graph import Node

from zcfast.passes.failures import ProxyError
from zcfast.passes.slots import Slots
from zcfast.torch_internals import ERROR_NODE


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
    if any(isinstance(node, ERROR_NODE) for node in _consumers(gradients)):
        # It is on no path to the weights, so nothing would raise and its part would be missing.
        raise ProxyError("failed", "an operation of the net is marked once_differentiable")
    reached = [rank for rank, gradient in enumerate(gradients) if gradient.requires_grad]
    found: Sequence[Tensor | None] = [None] * len(leaves)
    if reached:
        # As one scalar: for a product with given tensors torch imports 480 modules at its first call.
        total = torch.stack([(gradients[rank] * along[rank]).sum() for rank in reached]).sum()
        found = torch.autograd.grad(total, leaves, allow_unused=True)
    return [torch.zeros_like(leaf) if part is None else part for leaf, part in zip(leaves, found, strict=True)]


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
