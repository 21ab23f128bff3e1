"""How many layers lie one behind the other."""

from typing import Any

from torch import Tensor, nn

from zcfast.nets.inputs import first_two, sample_count
from zcfast.passes.attention import Node
from zcfast.passes.base import Pass, Results
from zcfast.passes.batch import Batch
from zcfast.passes.failures import ProxyError
from zcfast.passes.net import Net
from zcfast.passes.recording import check_graph

_ATTENTION = 2  # layers of nn.MultiheadAttention: its projections before and behind the products


class LongestPath(Pass):
    """The most calls of counted layers that one path from the inputs to the logits goes through.

    nn.MultiheadAttention, which uses its projections without calling them, is two layers.
    """

    reads = "inputs"

    def run(self, net: Net, batch: Batch, done: Results) -> int:
        """Run two samples forward and follow the graph."""
        calls: list[tuple[Node, int]] = []

        def see(module: nn.Module, args: Any, output: Any) -> None:
            first = output[0] if isinstance(output, tuple) else output
            if not isinstance(first, Tensor) or first.grad_fn is None:
                raise ProxyError(
                    "refused", f"a {type(module).__name__} runs under no_grad or in reentrant checkpointing"
                )
            calls.append((first.grad_fn, _ATTENTION if isinstance(module, nn.MultiheadAttention) else 1))

        attention = [module for module in net.modules if isinstance(module, nn.MultiheadAttention)]
        inputs = first_two(batch.tensors()[0])
        output = net.forward(inputs, [(module, see) for module in (*(each.module for each in net.layers), *attention)])
        logits = batch.found_logits(output, sample_count(inputs))
        check_graph(logits, net.copies)
        return _longest(logits.grad_fn, dict(calls))


def _longest(root: Node, counts: dict[Node, int]) -> int:
    """The largest sum of counts on a path from the root."""
    longest: dict[Node, int] = {}
    stack = [root]
    while stack:
        node = stack[-1]
        followed = [child for child, _ in node.next_functions if child is not None] if node is not None else []
        waiting = [child for child in followed if child not in longest]
        if waiting:
            stack += waiting
        else:
            stack.pop()
            longest[node] = max((longest[child] for child in followed), default=0) + counts.get(node, 0)
    return longest[root]
