"""Refuses nets whose weights are not what a score takes them for."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from zcfast.passes.failures import ProxyError
from zcfast.passes.holders import find_holder, is_held
from zcfast.passes.layers import Layer


def check_unchanged(weights: Iterable[tuple[Layer, Tensor, Tensor]]) -> None:
    """Raise ProxyError where a forward pass has changed the weight of a layer, which its gradient then belongs to.

    Args:
        weights: each layer with its weight before the pass, and the stand-in for it after the pass.
    """
    for layer, before, stand_in in weights:
        replaced = layer.module._parameters.get(layer.parameter) is not stand_in
        if replaced or not (torch.equal(before, stand_in) or torch.equal(before.nan_to_num(), stand_in.nan_to_num())):
            reason = f"layer {layer.name!r} has another weight after a forward pass (run the net once first)"
            raise ProxyError("refused", reason)


def check_references(
    net: nn.Module, parameters: Iterable[Tensor], known: Iterable[Tensor], output: Tensor, loss: Tensor | None = None
) -> None:
    """Raise ProxyError where a net's output hangs on a parameter that no stand-in is there for.

    That happens in a net that keeps parameters, or what it made of them in an earlier pass, outside of its modules: in
    lists, in layers in lists, in global variables. What is made in a pass and kept nowhere is no parameter: nets that
    differentiate by their own inputs make such tensors. Parameters of the loss alone are none of the net.

    Args:
        net: the net, with the stand-ins in place.
        parameters: the net's own parameters.
        known: what an output may hang on: the stand-ins, and the inputs where they need a gradient.
        output: the output of the net.
        loss: what was made of it; it too may not hang on the net's own parameters.
    """
    leaves = _leaves(output if loss is None else loss)
    expected = {id(tensor) for tensor in known}
    if all(id(leaf) in expected for leaf in leaves):
        return
    own, buffers = {id(parameter) for parameter in parameters}, {id(buffer) for buffer in net.buffers()}
    made = {id(parameter): name for name, parameter in net.named_parameters()}
    of_output = {id(leaf) for leaf in _leaves(output)}
    for leaf in leaves:
        if id(leaf) in own:
            raise _outside(find_holder(leaf, net) or "a list or a cache")
        if id(leaf) in expected | buffers or id(leaf) not in of_output:
            continue
        if id(leaf) in made:
            reason = f"parameter {made[id(leaf)]!r} was made in the forward pass (run the net once first)"
            raise ProxyError("refused", reason)
        where = find_holder(leaf, net)
        if where is not None or isinstance(leaf, nn.Parameter) or is_held(leaf, beside=leaves):
            raise _outside(where or "a list, a global or a closure")


def _outside(where: str) -> ProxyError:
    return ProxyError("refused", f"the net uses a parameter that it keeps outside of its modules: {where}")


def _leaves(value: Tensor) -> list[Tensor]:
    """The tensors that wait for a gradient of the value."""
    leaves: list[Tensor] = []
    stack = [value.grad_fn]
    seen = set(stack)
    while stack:
        node = stack.pop()
        if node is None:
            continue
        following = node.next_functions
        if not following and isinstance(getattr(node, "variable", None), Tensor):
            leaves.append(node.variable)  # type: ignore[attr-defined]  # of a node that accumulates gradients
        for source, _ in following:
            if source not in seen:
                seen.add(source)
                stack.append(source)
    return leaves
