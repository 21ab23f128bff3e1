"""The passes that take a minibatch: one forward and the backward passes that share it."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from zcfast.tracing.batch import Batch
from zcfast.tracing.channels_last import suits
from zcfast.tracing.curvature import directions, double_backward
from zcfast.tracing.embedding import without_embedding
from zcfast.tracing.forward import Forward, equal_to_rounding
from zcfast.tracing.isolation import isolated
from zcfast.tracing.layers import Layer
from zcfast.tracing.parameters import Slots
from zcfast.tracing.passes import Failure, Pass, ProxyError, WrongArgumentError, describe
from zcfast.tracing.recording import Activations, Recording
from zcfast.tracing.references import check_references, check_unchanged
from zcfast.tracing.tangent import hessian_products
from zcfast.tracing.twice_differentiable import TwiceDifferentiable

Collector = Callable[[Activations], Tensor]


@dataclass
class Sampled:
    """What the passes over a minibatch leave behind; a list is empty where its pass did not run.

    Attributes:
        positions: [L] places of the output of each layer at which its weight was applied, over all samples.
        gradients: L gradients of the loss by the layers' weights.
        own_gradients: the same by each layer's own use of its weight: it differs where weights are tied.
        curvature: L tensors, Hessian over the counted weights times the gradients.
        collected: what each collector made of the activations.
        jacobian: [N, D] derivative of the sum of all logits by each sample.
        failures, seconds: of each pass.
        unrepeatable: why no other pass may follow: in a second forward pass the net computed other logits.
    """

    positions: list[int] = field(default_factory=list)
    gradients: list[Tensor] = field(default_factory=list)
    own_gradients: list[Tensor] = field(default_factory=list)
    curvature: list[Tensor] = field(default_factory=list)
    collected: dict[str, Tensor] = field(default_factory=dict)
    jacobian: Tensor | None = None
    failures: dict[Pass, Failure] = field(default_factory=dict)
    seconds: dict[Pass, float] = field(default_factory=dict)
    unrepeatable: Failure | None = None

    @contextmanager
    def guard(self, which: Pass) -> Iterator[None]:
        """Time a pass, and record its exception in place of letting it end the others."""
        start = time.perf_counter()
        try:
            yield
        except WrongArgumentError:
            raise
        except Exception as error:  # whatever a foreign net raises is that net's result
            self.failures[which] = describe(error)
        finally:
            self.seconds[which] = self.seconds.get(which, 0.0) + time.perf_counter() - start


def run_sampled(
    module: nn.Module,
    layers: Sequence[Layer],
    batch: Batch,
    passes: Pass,
    collectors: Mapping[str, Collector],
    *,
    train: bool,
    followed: bool,
) -> Sampled:
    """Run the passes over the minibatch, each once.

    Args:
        followed: whether other passes run behind these.

    Raises:
        TypeError, ValueError: an argument that shows itself as wrong during the run: logits, targets, loss_fn.
    """

    def run(*, channels_last: bool, again: bool = False) -> Sampled:
        with isolated(module, train=train) as net:
            forward = Forward(net, Slots(net.modules, layers), layers, batch, passes, channels_last=channels_last)
            return _Run(forward, collectors).whole(is_first=not again, followed=followed)

    result = run(channels_last=suits(batch.inputs))
    if not suits(batch.inputs):
        return result
    if any("CheckpointError" in failure.reason for failure in result.failures.values()):
        # Backward passes run checkpointed parts again, without the rules of ChannelsLast, and find other tensors.
        return run(channels_last=False, again=True)
    if result.unrepeatable is not None:
        # A net may draw random numbers in the order of memory, which second passes can have another of.
        other = run(channels_last=False, again=True)
        return result if other.unrepeatable is not None else other
    return result


class _Run:
    """One run of the passes; the net holds stand-ins for its parameters all along."""

    def __init__(
        self,
        forward: Forward,
        collectors: Mapping[str, Collector],
    ) -> None:
        self.forward, self.collectors = forward, collectors
        self.layers, self.batch, self.passes, self.slots = forward.layers, forward.batch, forward.passes, forward.slots
        self.result = Sampled(positions=[0] * len(self.layers))
        self.leaves = self.install()
        self.gradients: list[Tensor] = []  # by the leaves

    def install(self) -> list[Tensor]:
        """Put stand-ins in the net and give those of the counted slots."""
        gradients_wanted = self.passes != Pass.FORWARD
        # Copies, not views: a net that writes to its weights writes to these.
        stand_ins = self.slots.install(
            lambda slot, _: nn.Parameter(slot.parameter.detach().clone(), requires_grad=gradients_wanted)
        )
        return [stand_ins[index] for index in self.slots.counted]

    def whole(self, *, is_first: bool, followed: bool) -> Sampled:
        """Run the passes and give what they leave behind.

        Where the net's first forward pass is not the one that counts, or passes follow behind these, the net must
        compute the same logits in one pass more.
        """
        self.run()
        is_first = is_first and not self.forward.retried
        if Pass.FORWARD not in self.result.failures and (followed or not is_first):
            with suppress(ProxyError):
                self.forward.require_repetition(self.batch.tensors()[0])
        self.result.unrepeatable = self.forward.mismatch
        if self.forward.mismatch is not None and not is_first:
            self.result.failures[Pass.FORWARD] = self.forward.mismatch
        return self.result

    def wants(self, which: Pass) -> bool:
        return which in self.passes and which not in self.result.failures

    def run(self) -> None:
        """Run all passes; each adds what it gives to the result."""
        inputs, targets = self.batch.tensors()
        point, recording = None, Recording()
        with self.result.guard(Pass.FORWARD):
            point, output, recording = self.run_forward(inputs)
        if Pass.FORWARD in self.result.failures:
            return
        for layer, positions in zip(recording.layer, recording.positions, strict=True):
            self.result.positions[layer] += positions
        if self.passes == Pass.FORWARD:
            return
        for which in (Pass.INPUT_JACOBIAN, Pass.LOSS_GRAD):
            with self.result.guard(which):
                recording.check_gradients()
        if self.wants(Pass.LOSS_GRAD):
            with self.result.guard(Pass.LOSS_GRAD):
                self.slots.check_hooks()
                check_unchanged(zip(self.layers, self.slots.weights, self.slots.of_layers(self.leaves), strict=True))
        logits = self.logits(output)
        if logits is None:
            return
        self.forward.note_first(logits)
        if self.wants(Pass.INPUT_JACOBIAN):
            with self.result.guard(Pass.INPUT_JACOBIAN):
                self.input_jacobian(inputs, point, logits)
        if not self.wants(Pass.LOSS_GRAD):
            return
        loss = self.loss(logits, targets)
        if loss is not None and Pass.LOSS_GRAD not in self.result.failures:
            self.kept_loss = (logits.detach(), loss.detach())
            with self.result.guard(Pass.LOSS_GRAD):
                known = [*self.slots.installed, *([] if point is None else [point])]
                check_references(self.forward.net.module, self.slots.parameters, known, logits, loss)
                self.first_order(loss, recording)
            del loss, logits, output, recording  # the second-order pass needs the memory
            self.second_order(inputs, targets)

    def run_forward(self, inputs: Tensor) -> tuple[Tensor | None, Any, Recording]:
        """Run forward; without the input Jacobian where the net does not take inputs that need a gradient."""
        keep = self.wants(Pass.ACTIVATIONS)
        if not self.wants(Pass.INPUT_JACOBIAN):
            return self.forward.recorded(inputs, keep=keep, jacobian=False)
        try:
            return self.forward.recorded(inputs, keep=keep, jacobian=True)
        except Exception as error:  # the other passes need not fail with it
            failure = describe(error)
        result = self.forward.recorded(inputs, keep=keep, jacobian=False)
        self.result.failures[Pass.INPUT_JACOBIAN] = failure
        return result

    def input_jacobian(self, inputs: Tensor, point: Tensor | None, logits: Tensor) -> None:
        if point is None:
            raise without_embedding(inputs)
        rows = torch.zeros_like(point)
        if logits.requires_grad:
            later = self.wants(Pass.LOSS_GRAD)
            (found,) = torch.autograd.grad(logits.sum(), [point], retain_graph=later, allow_unused=True)
            rows = rows if found is None else found
        self.result.jacobian = rows.detach().flatten(1)

    def logits(self, output: Any) -> Tensor | None:
        """The logits; None where the caller's function raised."""
        try:
            return self.batch.found_logits(output)
        except ProxyError as error:
            self.result.failures.update(dict.fromkeys((Pass.INPUT_JACOBIAN, Pass.LOSS_GRAD), error.failure))
            return None

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor | None:
        """The loss; None where the caller's loss raised."""
        try:
            return self.batch.loss(logits, targets)
        except ProxyError as error:
            self.result.failures[Pass.LOSS_GRAD] = error.failure
            return None

    def check_loss(self) -> None:
        """Raise ProxyError where a second call of the caller's loss gives another value."""
        logits, value = self.kept_loss
        if self.batch.loss_fn is None:
            return
        with torch.no_grad():
            again = self.batch.loss(logits, self.batch.tensors()[1])
        if not equal_to_rounding(value, again):
            raise ProxyError(
                "refused", "loss_fn has another value at a second call: it keeps state or draws random numbers"
            )

    def first_order(self, loss: Tensor, recording: Recording) -> None:
        """Gradients by the stand-ins, and by the activations where a collector takes them."""
        kept = recording.outputs if self.wants(Pass.ACTIVATIONS) else []
        gradients = differentiate(loss, [*self.leaves, *kept])
        # As the weights lie in memory: what is summed with them, and what alone, is summed in the same order.
        self.gradients = [gradient.contiguous() for gradient in gradients[: len(self.leaves)]]
        self.result.gradients = self.slots.shared(self.gradients)
        self.result.own_gradients = self.slots.of_layers(self.gradients)
        if self.wants(Pass.ACTIVATIONS):
            with self.result.guard(Pass.ACTIVATIONS):
                recording.check_outputs()
                self.collect(recording, gradients[len(self.leaves) :])

    def second_order(self, inputs: Tensor, targets: Tensor) -> None:
        """What takes the Hessian, after the graph of the first pass is gone."""
        if Pass.LOSS_GRAD not in self.result.failures and self.wants(Pass.HVP):
            with self.result.guard(Pass.HVP):
                self.check_loss()
                self.result.curvature = self.slots.shared(self.products(inputs, targets))

    def products(self, inputs: Tensor, targets: Tensor) -> list[Tensor]:
        """Hessian times the gradient, by the fastest way that is exact for this net."""
        along = directions(self.slots, self.gradients)

        def loss(logits: Tensor) -> Tensor:
            return self.batch.loss(logits, targets)

        with sdpa_kernel(SDPBackend.MATH):  # fused attention has no second derivative
            self.forward.restart()
            try:
                return hessian_products(self.slots, along, lambda: self.forward.logits(inputs), loss)
            except Exception:  # where the faster way raises, the slower one decides whether net or rule is at fault
                self.forward.restart()
                leaves = self.install()
                self.forward.channels_last = False  # its rules cannot be differentiated twice
                with TwiceDifferentiable():
                    logits = self.forward.logits(inputs)
                gradients = differentiate(loss(logits), leaves, create_graph=True)
                return double_backward(gradients, leaves, along)

    def collect(self, recording: Recording, gradients: Sequence[Tensor]) -> None:
        calls: list[list[tuple[Tensor, Tensor]]] = [[] for _ in self.layers]
        for layer, output, gradient in zip(recording.layer, recording.outputs, gradients, strict=True):
            calls[layer].append((output.detach(), gradient))
        for name, collector in self.collectors.items():
            self.result.collected[name] = collector(Activations(self.layers, calls))


def differentiate(value: Tensor, points: Sequence[Tensor], *, create_graph: bool = False) -> list[Tensor]:
    """Gradient of a scalar by each point; zero where the value does not depend on it."""
    reached = [point for point in points if point.requires_grad] if value.requires_grad else []
    found: Sequence[Tensor | None] = []
    if reached:
        found = torch.autograd.grad(value, reached, create_graph=create_graph, allow_unused=True)
    # Embeddings may give sparse gradients, which no sum over a weight takes.
    dense = [part if part is None or part.layout == torch.strided else part.to_dense() for part in found]
    by_point = {id(point): gradient for point, gradient in zip(reached, dense, strict=True) if gradient is not None}
    return [by_point[id(point)] if id(point) in by_point else torch.zeros_like(point) for point in points]
