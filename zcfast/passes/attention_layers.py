"""Which layers of a net project for attention."""

from collections.abc import Iterator, Sequence
from typing import Any

from torch import Tensor, nn

from zcfast.nets.inputs import first_two
from zcfast.passes.attention import AttentionCall, Node, SeeAttention
from zcfast.passes.batch import Batch
from zcfast.passes.head_maxima import NO_ATTENTION
from zcfast.passes.layers import Layer
from zcfast.passes.net import Net


def input_projections(net: Net) -> list[Layer]:
    """What nn.MultiheadAttention projects its inputs by: parameters of its own, which no layer holds."""
    return [
        Layer(f"{name}.{parameter}".lstrip("."), module, parameter)
        for name, module in net.module.named_modules()
        if isinstance(module, nn.MultiheadAttention)
        for parameter in ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight")
        if module._parameters.get(parameter) is not None
    ]


def project_for_attention(net: Net, batch: Batch, layers: Sequence[Layer]) -> list[bool]:
    """Of each layer, whether queries, keys or values come of it, or it is the first one behind attention.

    Raises:
        ProxyError: no attention runs.
    """
    calls: list[AttentionCall] = []
    puts_out: dict[Node, int] = {}
    takes: list[tuple[Node, int]] = []
    places = {id(layer.module): place for place, layer in enumerate(layers) if layer.parameter == "weight"}

    def see(module: nn.Module, args: tuple[Any, ...], keywords: dict[str, Any], output: Any) -> None:
        given = next((each for each in (*args, *keywords.values()) if isinstance(each, Tensor)), None)
        if given is not None and given.grad_fn is not None:
            takes.append((given.grad_fn, places[id(module)]))
        if isinstance(output, Tensor) and output.grad_fn is not None:
            puts_out[output.grad_fn] = places[id(module)]

    counted = [(layer.module, see) for layer in layers if layer.parameter == "weight"]
    inputs = first_two(batch.tensors()[0])
    mode = SeeAttention(calls.append)
    net.forward(inputs, calls=counted, modes=[mode])
    if not calls:
        raise NO_ATTENTION.as_error()
    found = {place for place, layer in enumerate(layers) if _of_module(layer, net)}
    own = [call for call in calls if not call.weights]  # others' projections are no layers'
    found |= {puts_out[node] for call in own for node in _first_behind(call.projections, puts_out, mode.products)}
    ends, stops = {call.output.grad_fn for call in own}, mode.products | set(puts_out)
    found |= {place for node, place in takes if any(each in ends for each in _chain(node, stops))}
    return [place in found for place in range(len(layers))]


def _of_module(layer: Layer, net: Net) -> bool:
    """Whether a layer is a part of nn.MultiheadAttention."""
    return layer.parameter != "weight" or any(
        isinstance(module, nn.MultiheadAttention) and module.out_proj is layer.module for module in net.modules
    )


def _first_behind(tensors: Sequence[Tensor], marked: dict[Node, int], products: set[Node]) -> Iterator[Node]:
    """The marked nodes from which tensors come without another product between."""
    stack, seen = [each.grad_fn for each in tensors], set()
    while stack:
        node = stack.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if node in marked:
            yield node
        elif node not in products:
            stack += [child for child, _ in node.next_functions]


def _chain(node: Node, stops: set[Node]) -> Iterator[Node]:
    """The nodes from which a tensor comes, up to one of some or one of two tensors, such as their sum."""
    while node is not None:
        yield node
        others = [child for child, _ in node.next_functions if child is not None and not hasattr(child, "variable")]
        if node in stops or len(others) != 1:
            return
        node = others[0]
