"""Refuses nets whose weights are not what a score takes them for."""

from collections.abc import Iterable

import torch
from torch import Tensor

from zcfast.tracing.layers import Layer
from zcfast.tracing.passes import ProxyError


def check_unchanged(weights: Iterable[tuple[Layer, Tensor, Tensor]]) -> None:
    """Raise ProxyError where a forward pass has changed the weight of a layer, which its gradient then belongs to.

    Args:
        weights: each layer with its weight before the pass, and the stand-in for it after the pass.
    """
    for layer, before, stand_in in weights:
        replaced = layer.module._parameters.get("weight") is not stand_in
        if replaced or not (torch.equal(before, stand_in) or torch.equal(before.nan_to_num(), stand_in.nan_to_num())):
            reason = f"layer {layer.name!r} has another weight after a forward pass (run the net once first)"
            raise ProxyError("refused", reason)


def check_references(value: Tensor, parameters: Iterable[Tensor]) -> None:
    """Raise ProxyError where a value was made of the net's own parameters, not of the stand-ins in their places.

    That happens in a net that keeps parameters, or what it made of them in an earlier pass, in lists or attributes.
    """
    own = {id(parameter) for parameter in parameters}
    stack = [value.grad_fn]
    seen = set(stack)
    while stack:
        node = stack.pop()
        if node is None:
            continue
        following = node.next_functions
        if not following and id(getattr(node, "variable", None)) in own:
            reason = "the net uses a parameter that it keeps outside of its modules, as in a list or a cache"
            raise ProxyError("refused", reason)
        for source, _ in following:
            if source not in seen:
                seen.add(source)
                stack.append(source)
