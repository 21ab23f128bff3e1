"""The forward pass of the minibatch that all passes share."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from zcfast.nets.inputs import Inputs, mapped, tensors_of
from zcfast.passes.base import Pass, Results
from zcfast.passes.batch import Batch, find_logits
from zcfast.passes.blame import Blamed
from zcfast.passes.cpu_backend.channels_last import ChannelsLast
from zcfast.passes.embedding import tapped_embeddings, tokens_in
from zcfast.passes.failures import Failure, ProxyError, WrongArgumentError, describe
from zcfast.passes.net import Net
from zcfast.passes.observation import Observation, is_own
from zcfast.passes.pulls import Pulls
from zcfast.passes.recording import Recording, check_graph, has_inplace_modules, recorded
from zcfast.passes.rectifiers import SeeRectifiers
from zcfast.passes.references import check_unchanged


@dataclass
class SharedForward:
    """What the forward pass of the minibatch leaves behind.

    Attributes:
        output: what the net returned.
        points: where derivatives by the inputs are taken: floating inputs, and of tokens the output of their embedding;
            none unless a pass needs them and the net takes them.
        leaves: one for each place of a counted weight; `weights` are those of the layers.
        weights: L leaves of the graph, copies of the layers' weights.
        recording: what the counted layers put out.
        changed: that a layer has another weight after the pass.
        users: the passes that take derivatives of this graph and have not run yet.
        pulls: what passes see at the activations when the loss is differentiated.
    """

    batch: Batch
    output: Any
    points: list[Tensor]
    leaves: list[Tensor]
    weights: list[Tensor]
    installed: list[Tensor]
    recording: Recording
    changed: Failure | None
    users: set[type]
    pulls: list[Pulls]

    @cached_property
    def logits(self) -> Tensor:
        """The logits, with their graph where a pass needs gradients."""
        return self.batch.found_logits(self.output, self.batch.samples)

    @property
    def positions(self) -> list[int]:
        """Of each layer, the places at which its weight was applied, over all samples."""
        positions = [0] * len(self.weights)
        for layer, places in zip(self.recording.layer, self.recording.positions, strict=True):
            positions[layer] += places
        return positions

    def differentiate(self, value: Tensor, points: Sequence[Tensor]) -> list[Tensor]:
        """Gradient of a scalar by each point, zero where it does not depend on it; the graph stays for other passes."""
        return differentiate(value, points, retain_graph=len(self.users) > 1)


class Forward(Pass):
    """One forward pass of the minibatch, of which passes that require it see what they ask for in `observe`.

    Attributes:
        observation: what they ask for.
        retried: whether the first run did not serve, and a further one took its place.
    """

    reads = "inputs"
    cost = 1.0

    def __init__(self) -> None:
        """Begin without wishes."""
        self.observation = Observation()
        self.retried = False
        self._has_run = False

    def run(self, net: Net, batch: Batch, done: Results) -> SharedForward:
        """Run the net; once more with copies where it overwrote, unannounced, an output to be kept."""
        inputs, _ = batch.tensors()
        clone = self.observation.keeps_outputs and has_inplace_modules(net.modules)
        result = self._in_some_form(net, batch, inputs, clone)
        if result.recording.was_overwritten() and not clone:
            clone = True
            result = self._in_some_form(net, batch, inputs, clone)
        if self._is_harmed(result, net):
            result = self._in_some_form(net, batch, inputs, clone)
        if result.users:
            result.changed = _change(result, net)
        if result.users or batch.logits is not find_logits:
            net.note_first(result.logits)
        elif self.observation.watching:
            with suppress(WrongArgumentError):  # of a net that need not have logits
                net.note_first(result.logits)
        else:
            net.require_same_flow()
        if self.observation.sees_rectifiers:
            try:
                net.require_sight(SeeRectifiers.matters)
            except ProxyError as error:
                self.observation.give_up_watching(self.observation.sees_rectifiers, error.failure)
        return result

    def _in_some_form(self, net: Net, batch: Batch, inputs: Inputs, clone: bool) -> SharedForward:
        """In the form that is wanted, or in a plainer one: view() of an image fails in most formats, for one."""
        while True:
            mode = ChannelsLast() if net.channels_last else Blamed() if self.observation.takes_inputs else None
            try:
                return self._once(net, batch, inputs, mode, clone)
            except Exception as error:
                if mode is None or not mode.is_to_blame(error):
                    raise
                net.forgive()
                if not net.channels_last:  # with those that need inputs with a gradient the others need not fail
                    self.observation.give_up_inputs(describe(error))
                net.channels_last = False

    def _once(self, net: Net, batch: Batch, inputs: Inputs, mode: Blamed | None, clone: bool) -> SharedForward:
        if self._has_run:
            self.retried = True
            net.restart()
        self._has_run = True
        asked = self.observation
        gradients = bool(asked.users) or batch.logits is not find_logits  # which must not cut the graph
        leaves = net.install(gradients=gradients)
        with net.surroundings(mode) as stack:
            stack.enter_context(torch.set_grad_enabled(gradients))
            recording = stack.enter_context(recorded(net.layers, keep=asked.keeps_outputs, clone=clone))
            stack.enter_context(asked.watched(net))
            flowing = mapped(_leaf, inputs) if asked.takes_inputs else inputs
            tokens = tokens_in(inputs) if asked.takes_inputs else []
            taps = stack.enter_context(tapped_embeddings(net.modules, tokens, Tensor.clone))
            output = net.call(net.flowing(flowing))
        points = [leaf for leaf in tensors_of(flowing) if leaf.requires_grad]
        points += [tap.output for tap in taps if tap.output is not None]
        weights = net.slots.of_layers(leaves)
        return SharedForward(
            batch, output, points, leaves, weights, net.copies, recording, None, asked.users, asked.pulls
        )

    def _is_harmed(self, result: SharedForward, net: Net) -> bool:
        """Whether a weight has changed while passes of the user's watched; they then watch no more."""
        foreign = {owner for owner in self.observation.watching if not is_own(owner)}
        if not foreign or all(map(torch.equal, net.slots.parameters, result.installed)):
            return False
        self.observation.give_up_watching(foreign, Failure("refused", "a weight changed while the pass watched"))
        return True


def _leaf(x: Tensor) -> Tensor:
    """A floating input as a leaf of the graph."""
    return x.detach().clone().requires_grad_() if x.is_floating_point() else x


def _change(result: SharedForward, net: Net) -> Failure | None:
    try:
        check_unchanged(zip(net.layers, net.slots.weights, result.weights, strict=True))
    except ProxyError as error:
        return error.failure
    return None


def differentiate(
    value: Tensor, points: Sequence[Tensor], *, create_graph: bool = False, retain_graph: bool | None = None
) -> list[Tensor]:
    """Gradient of a scalar by each point; zero where the value does not depend on it.

    Raises:
        ProxyError: the value has no graph.
    """
    check_graph(value, points)
    reached = [point for point in points if point.requires_grad]
    found: Sequence[Tensor | None] = []
    if reached:
        found = torch.autograd.grad(
            value, reached, create_graph=create_graph, retain_graph=retain_graph or create_graph, allow_unused=True
        )
    # Embeddings may give sparse gradients, which no sum over a weight takes.
    dense = [part if part is None or part.layout == torch.strided else part.to_dense() for part in found]
    by_point = {id(point): gradient for point, gradient in zip(reached, dense, strict=True) if gradient is not None}
    return [by_point[id(point)] if id(point) in by_point else torch.zeros_like(point) for point in points]
