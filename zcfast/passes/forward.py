"""The forward pass of the minibatch that all passes share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from zcfast.passes.base import Pass, Results, is_own
from zcfast.passes.blame import Blamed
from zcfast.passes.net import Net
from zcfast.tracing.batch import Batch, find_logits
from zcfast.tracing.channels_last import ChannelsLast
from zcfast.tracing.embedding import EmbeddingTap, tapped_embedding
from zcfast.tracing.functorch import outside_transforms
from zcfast.tracing.generators import GlobalState
from zcfast.tracing.passes import Failure, ProxyError, describe
from zcfast.tracing.recording import Recording, has_inplace_modules, recorded
from zcfast.tracing.references import check_unchanged


@dataclass
class SharedForward:
    """What the forward pass of the minibatch leaves behind.

    Attributes:
        output: what the net returned.
        point: where derivatives by the inputs are taken: the inputs, or of tokens the output of their embedding; None
            unless a pass needs it and the net takes it.
        leaves: one for each place of a counted weight; `weights` are those of the layers.
        weights: L leaves of the graph, copies of the layers' weights.
        recording: what the counted layers put out.
        changed: that a layer has another weight after the pass.
        users: the passes that take derivatives of this graph and have not run yet.
    """

    batch: Batch
    output: Any
    point: Tensor | None
    leaves: list[Tensor]
    weights: list[Tensor]
    installed: list[Tensor]
    recording: Recording
    changed: Failure | None
    users: set[type[Pass]]

    @cached_property
    def logits(self) -> Tensor:
        """The logits, with their graph where a pass needs gradients."""
        return self.batch.found_logits(self.output, len(self.batch.inputs))

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


@dataclass
class _Watcher:
    owner: type[Pass]
    function: Callable[[Tensor], Any]
    kinds: tuple[type[nn.Module], ...]
    seen: list[Any] = field(default_factory=list)


class Forward(Pass):
    """One forward pass of the minibatch.

    Passes that require it may ask for more by what they call in `observe`.

    Attributes:
        failures: the passes whose wishes could not be met.
        retried: whether the first run did not serve, and a further one took its place.
    """

    reads = "inputs"
    cost = 1.0

    def __init__(self) -> None:
        """Begin without wishes."""
        self.failures: dict[type[Pass], Failure] = {}
        self.retried = False
        self._users: set[type[Pass]] = set()
        self._takes_inputs: set[type[Pass]] = set()
        self._keeps_outputs = False
        self._watchers: list[_Watcher] = []
        self._observer: type[Pass] = Forward

    def be_observed(self, by: Pass) -> None:
        """Let a pass say what it needs of this one."""
        self._observer = type(by)
        by.observe(self)

    def need_gradients(self) -> None:
        """Derivatives of the output by the counted weights will be taken."""
        self._users.add(self._observer)

    def need_input_gradients(self) -> None:
        """Derivatives of the output by the inputs will be taken, of tokens by the output of their embedding."""
        self._users.add(self._observer)
        self._takes_inputs.add(self._observer)

    def keep_outputs(self) -> None:
        """Keep the outputs of the counted layers, at which derivatives of the loss will be taken."""
        self._keeps_outputs = True

    def watch(self, function: Callable[[Tensor], Any], *kinds: type[nn.Module]) -> list[Any]:
        """Call a function on the output of each module of some kinds whenever it runs.

        Args:
            function: of a copy of the output, in order in memory, without a graph. It cannot change what flows on;
                where it raises, the pass that asked for it fails.
            kinds: of modules, derived ones included.

        Returns:
            A list that holds, once the forward pass has run, what the function returned, in order of execution.
        """
        watcher = _Watcher(self._observer, function, kinds)
        self._watchers.append(watcher)
        return watcher.seen

    def run(self, net: Net, batch: Batch, done: Results) -> SharedForward:
        """Run the net; once more with copies where it overwrote, unannounced, an output to be kept."""
        inputs, _ = batch.tensors()
        clone = self._keeps_outputs and has_inplace_modules(net.modules)
        result = self._in_some_form(net, batch, inputs, clone)
        if result.recording.was_overwritten() and not clone:
            result = self._in_some_form(net, batch, inputs, clone=True)
        if self._is_harmed(result, net):
            result = self._in_some_form(net, batch, inputs, clone)
        gradients = bool(self._users)
        if gradients:
            result.changed = _change(result, net)
        if gradients or batch.logits is not find_logits:
            net.note_first(result.logits)
        return result

    def _in_some_form(self, net: Net, batch: Batch, inputs: Tensor, clone: bool) -> SharedForward:
        """In the form that is wanted, or in a plainer one: view() of an image fails in most formats, for one."""
        while True:
            mode = ChannelsLast() if net.channels_last else Blamed() if self._takes_inputs else None
            try:
                return self._once(net, batch, inputs, mode, clone)
            except Exception as error:
                if mode is None or not mode.is_to_blame(error):
                    raise
                net.forgive()
                if net.channels_last:
                    net.channels_last = False
                else:  # a net that takes no inputs that need a gradient, with which other passes need not fail
                    self.failures.update(dict.fromkeys(self._takes_inputs, describe(error)))
                    self._users -= self._takes_inputs
                    self._takes_inputs = set()

    def _once(self, net: Net, batch: Batch, inputs: Tensor, mode: Blamed | None, clone: bool) -> SharedForward:
        if self._has_run:
            self.retried = True
            net.restart()
        self._has_run = True
        gradients = bool(self._users) or batch.logits is not find_logits  # which must not cut the graph
        leaves = net.install(gradients=gradients)
        point: Tensor | None = None
        tap: EmbeddingTap | None = None
        with net.surroundings(mode) as stack:
            stack.enter_context(torch.set_grad_enabled(gradients))
            recording = stack.enter_context(recorded(net.layers, keep=self._keeps_outputs, clone=clone))
            stack.enter_context(self._watched(net))
            flowing = inputs
            if self._takes_inputs and inputs.is_floating_point():
                flowing = point = inputs.detach().clone().requires_grad_()
            elif self._takes_inputs:
                tap = stack.enter_context(tapped_embedding(net.modules, inputs, Tensor.clone))
            output = net.call(net.flowing(flowing))
        point = tap.output if tap else point
        weights = net.slots.of_layers(leaves)
        return SharedForward(batch, output, point, leaves, weights, net.slots.installed, recording, None, self._users)

    _has_run = False

    @contextmanager
    def _watched(self, net: Net) -> Iterator[None]:
        with ExitStack() as stack:
            for watcher in self._watchers:
                watcher.seen.clear()
                if watcher.owner in self.failures:
                    continue
                hook = self._hook_of(watcher, net)
                for module in net.modules:
                    if isinstance(module, watcher.kinds):
                        stack.enter_context(module.register_forward_hook(hook, prepend=True))
            yield

    def _hook_of(self, watcher: _Watcher, net: Net) -> Callable[[nn.Module, Any, Any], None]:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            if watcher.owner in self.failures or not isinstance(output, Tensor):
                return
            try:
                if outside_transforms(output) is not output:
                    raise ProxyError("refused", f"a {type(module).__name__} runs inside torch.func.vmap or the like")
                with torch._C.DisableTorchFunction(), torch.no_grad(), _undisturbed(watcher.owner, net):
                    copy = output.detach().clone(memory_format=torch.contiguous_format)
                    watcher.seen.append(watcher.function(copy))
            except Exception as error:  # the net and the other passes go on
                self.failures[watcher.owner] = describe(error)

        return hook

    def _is_harmed(self, result: SharedForward, net: Net) -> bool:
        """Whether a weight has changed while passes of the user's watched; they then watch no more."""
        foreign = {watcher.owner for watcher in self._watchers if not is_own(watcher.owner)} - set(self.failures)
        if not foreign or all(map(torch.equal, net.slots.parameters, result.installed)):
            return False
        self.failures.update(dict.fromkeys(foreign, Failure("refused", "a weight changed while the pass watched")))
        return True


@contextmanager
def _undisturbed(owner: type[Pass], net: Net) -> Iterator[None]:
    """Put random generators back behind a function of the user's: the net draws from them too."""
    if is_own(owner):
        yield
        return
    state = GlobalState()
    with torch.random.fork_rng(net.random_devices):
        try:
            yield
        finally:
            state.restore()


def _change(result: SharedForward, net: Net) -> Failure | None:
    try:
        check_unchanged(zip(net.layers, net.slots.weights, result.weights, strict=True))
    except ProxyError as error:
        return error.failure
    return None


def differentiate(
    value: Tensor, points: Sequence[Tensor], *, create_graph: bool = False, retain_graph: bool | None = None
) -> list[Tensor]:
    """Gradient of a scalar by each point; zero where the value does not depend on it."""
    reached = [point for point in points if point.requires_grad] if value.requires_grad else []
    found: Sequence[Tensor | None] = []
    if reached:
        found = torch.autograd.grad(
            value, reached, create_graph=create_graph, retain_graph=retain_graph or create_graph, allow_unused=True
        )
    # Embeddings may give sparse gradients, which no sum over a weight takes.
    dense = [part if part is None or part.layout == torch.strided else part.to_dense() for part in found]
    by_point = {id(point): gradient for point, gradient in zip(reached, dense, strict=True) if gradient is not None}
    return [by_point[id(point)] if id(point) in by_point else torch.zeros_like(point) for point in points]
