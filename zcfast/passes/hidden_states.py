"""What the recurrent layers of a net remember."""

import copy
from collections.abc import Iterator
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn

from zcfast.passes.base import Pass, Results
from zcfast.passes.batch import Batch
from zcfast.passes.failures import ProxyError
from zcfast.passes.net import Net, evaluate


class HiddenStates(Pass):
    """Of each recurrent layer, in order, [units, samples x steps]: its hidden state before each step.

    Layers are those of nn.RNN, nn.LSTM and nn.GRU, one behind the other, and cells such as nn.LSTMCell; of both
    directions the first. All calls of one layer stand side by side. The net is in evaluation mode.
    """

    reads = "inputs"
    cost = 3.0

    def run(self, net: Net, batch: Batch, done: Results) -> list[Tensor]:
        """Run the minibatch forward."""
        states: dict[tuple[int, int], list[Tensor]] = {}

        def see(module: nn.Module, args: tuple[Any, ...], keywords: dict[str, Any], output: Any) -> None:
            inputs, state = _given(*args, **keywords)
            layers = _layers(module, inputs, state) if isinstance(module, nn.RNNBase) else [[_before(state, output)]]
            for layer, seen in enumerate(layers):
                states.setdefault((id(module), layer), []).extend(seen)

        recurrent = [(module, see) for module in net.modules if isinstance(module, (nn.RNNBase, nn.RNNCellBase))]
        with torch.no_grad():
            net.forward(batch.tensors()[0], before=[(net.module, evaluate)], calls=recurrent)
        if not states:
            raise ProxyError("undefined", "no recurrent layer ran: nn.RNN, nn.LSTM, nn.GRU or their cells")
        return [_as_rows(each) for each in states.values()]


def _given(input: Any, hx: Any = None) -> tuple[Any, Any]:  # the names that torch's recurrent layers have
    return input, hx


def _as_rows(states: list[Tensor]) -> Tensor:
    """[units, columns] of states [N, units], of any N."""
    runs = [torch.stack(list(run), -1) for _, run in groupby(states, key=len)]
    return torch.cat([run.transpose(0, 1).flatten(1) for run in runs], 1)


def _before(state: Any, output: Any) -> Tensor:
    """The state [N, units] that a cell got; it begins with zeros."""
    state = state[0] if isinstance(state, tuple) else state
    new = output[0] if isinstance(output, tuple) else output
    found = torch.zeros_like(new) if state is None else state
    return found.detach() if found.dim() == 2 else found.detach()[None]


def _layers(module: nn.RNNBase, inputs: Any, state: Any = None) -> Iterator[list[Tensor]]:
    """Of each layer of a stack, its states [N, units] before each step."""
    if not isinstance(inputs, Tensor):
        raise ProxyError("undefined", "a recurrent layer gets packed sequences, whose samples differ in their steps")
    samples, directions = 0 if module.batch_first else 1, 2 if module.bidirectional else 1
    alone = inputs.dim() == 2
    inputs = inputs.unsqueeze(samples) if alone else inputs
    given = None if state is None else state if isinstance(state, tuple) else (state,)
    units, weights = module.proj_size or module.hidden_size, module._flat_weights
    for layer in range(module.num_layers):
        share = len(weights) // module.num_layers
        own, begin = copy.copy(module), None
        held = {"_flat_weights": weights[layer * share : (layer + 1) * share], "input_size": inputs.shape[-1]}
        vars(own).update(held, num_layers=1, dropout=0.0)
        if given is not None:
            parts = [each.unsqueeze(1) if alone else each for each in given]
            begin = tuple(each[layer * directions : (layer + 1) * directions] for each in parts)
        inputs, _ = own.forward(inputs, begin if begin is None or isinstance(module, nn.LSTM) else begin[0])
        steps = inputs.transpose(0, samples)[..., :units].unbind(1)
        first = torch.zeros_like(steps[0]) if begin is None else begin[0][0]
        yield [first, *steps[:-1]]
