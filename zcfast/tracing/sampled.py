"""The passes that take a minibatch: one forward and the backward passes that share it."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from zcfast.tracing.batch import Batch
from zcfast.tracing.channels_last import suits
from zcfast.tracing.curvature import directions, double_backward
from zcfast.tracing.forward import Forward
from zcfast.tracing.isolation import Isolated, isolated
from zcfast.tracing.layers import Layer
from zcfast.tracing.mean_loss import MeanLoss
from zcfast.tracing.other_size import OtherSize, rows_of
from zcfast.tracing.parameters import Slots
from zcfast.tracing.passes import Failure, Pass, ProxyError, describe
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
        collected: sums over the parts of what each collector made of the activations, weighted by n/N.
        jacobian: [N, D] derivative of the sum of all logits by each sample.
        failures, seconds: of each pass.
    """

    positions: list[int] = field(default_factory=list)
    gradients: list[Tensor] = field(default_factory=list)
    own_gradients: list[Tensor] = field(default_factory=list)
    curvature: list[Tensor] = field(default_factory=list)
    collected: dict[str, Tensor] = field(default_factory=dict)
    jacobian: Tensor | None = None
    failures: dict[Pass, Failure] = field(default_factory=dict)
    seconds: dict[Pass, float] = field(default_factory=dict)

    @contextmanager
    def guard(self, which: Pass) -> Iterator[None]:
        """Time a pass, and record its exception in place of letting it end the others."""
        start = time.perf_counter()
        try:
            yield
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
) -> Sampled:
    """Run the passes over the minibatch, each once for each part of it.

    Raises:
        TypeError, ValueError: an argument that shows itself as wrong during the run: logits, targets, loss_fn.
    """

    def run(*, channels_last: bool) -> Sampled:
        with isolated(module, train=train) as net:
            return _Run(net, layers, batch, passes, collectors, channels_last=channels_last).whole()

    result = run(channels_last=suits(batch.inputs))
    if suits(batch.inputs) and any("CheckpointError" in failure.reason for failure in result.failures.values()):
        # Backward passes run checkpointed parts again, without the rules of ChannelsLast, and find other tensors.
        result = run(channels_last=False)
    return result


class _Run:
    """One run of the passes; the net holds stand-ins for its parameters all along."""

    def __init__(
        self,
        net: Isolated,
        layers: Sequence[Layer],
        batch: Batch,
        passes: Pass,
        collectors: Mapping[str, Collector],
        *,
        channels_last: bool,
    ) -> None:
        self.net, self.layers, self.batch, self.passes, self.collectors = net, layers, batch, passes, collectors
        self.result = Sampled(positions=[0] * len(layers))
        self.slots = Slots(net.modules, layers)
        self.forward = Forward(net, self.slots, layers, batch, passes, channels_last=channels_last)
        self.leaves = self.install()
        self.rows: list[Tensor] = []
        self.sums: list[Tensor] = []
        # The default loss is known to be a mean.
        self.mean_loss = MeanLoss(batch) if batch.is_split and batch.loss_fn is not None else None
        self.other_size: OtherSize | None = None
        if batch.is_split:
            reason = "microbatch: a second-order pass takes the gradient of the whole minibatch"
            self.result.failures[Pass.HVP] = Failure("refused", reason)

    def install(self) -> list[Tensor]:
        """Put stand-ins in the net and give those of the counted slots."""
        gradients_wanted = self.passes != Pass.FORWARD
        # Copies, not views: a net that writes to its weights writes to these.
        stand_ins = self.slots.install(
            lambda slot, _: nn.Parameter(slot.parameter.detach().clone(), requires_grad=gradients_wanted)
        )
        return [stand_ins[index] for index in self.slots.counted]

    def whole(self) -> Sampled:
        """Run the passes on all parts and give what they leave behind."""
        if self.batch.is_split and self.passes != Pass.FORWARD:
            self.other_size = self.run_other_size()
        for inputs, targets in self.batch.parts():
            if Pass.FORWARD in self.result.failures:
                break
            self.part(inputs, targets)
        if self.rows:
            self.result.jacobian = torch.cat(self.rows)
        return self.result

    def wants(self, which: Pass) -> bool:
        return which in self.passes and which not in self.result.failures

    def part(self, inputs: Tensor, targets: Tensor) -> None:
        """Run all passes on one part and add what they give to the result."""
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
                check_unchanged(zip(self.layers, self.slots.weights, self.slots.of_layers(self.leaves), strict=True))
        logits = self.logits(output)
        if logits is None:
            return
        dependence = self.other_size.dependence(logits, len(inputs)) if self.other_size is not None else None
        if dependence is not None:
            for which in (Pass.INPUT_JACOBIAN, Pass.LOSS_GRAD):
                self.result.failures.setdefault(which, dependence)
        if self.wants(Pass.INPUT_JACOBIAN):
            with self.result.guard(Pass.INPUT_JACOBIAN):
                self.input_jacobian(point, logits)
        if not self.wants(Pass.LOSS_GRAD):
            return
        loss = self.loss(logits, targets)
        if loss is not None and self.mean_loss is not None and loss.requires_grad:
            with self.result.guard(Pass.LOSS_GRAD):
                self.mean_loss.check(logits, targets)
        if loss is not None and Pass.LOSS_GRAD not in self.result.failures:
            loss = loss * (len(inputs) / len(self.batch.inputs)) if self.batch.is_split else loss
            with self.result.guard(Pass.LOSS_GRAD):
                known = [*self.slots.installed, *([] if point is None else [point])]
                check_references(self.net.module, self.slots.parameters, known, logits, loss)
                self.first_order(loss, recording, len(inputs))
            del loss, logits, output, recording  # the second-order pass needs the memory
            self.second_order(inputs, targets)

    def run_other_size(self) -> OtherSize | None:
        """Run the first samples in a minibatch of another size than the parts have."""
        assert self.batch.microbatch is not None
        size = self.batch.microbatch - 1 or 2
        with self.result.guard(Pass.FORWARD):
            inputs = self.batch.first(size)
            _, output, recording = self.forward.recorded(inputs, keep=self.wants(Pass.ACTIVATIONS), jacobian=False)
        if Pass.FORWARD in self.result.failures:
            return None
        logits = self.logits(output)
        return None if logits is None else OtherSize(size, logits.detach(), rows_of(recording))

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

    def input_jacobian(self, point: Tensor | None, logits: Tensor) -> None:
        if point is None:
            raise ProxyError("failed", "integer inputs: no nn.Embedding was called on them, so there is no Jacobian")
        rows = torch.zeros_like(point)
        if logits.requires_grad:
            later = self.wants(Pass.LOSS_GRAD)
            (found,) = torch.autograd.grad(logits.sum(), [point], retain_graph=later, allow_unused=True)
            rows = rows if found is None else found
        self.rows.append(rows.detach().flatten(1))

    def logits(self, output: Any) -> Tensor | None:
        """The logits of a part; None where the caller's function raised."""
        try:
            return self.batch.found_logits(output)
        except ProxyError as error:
            self.result.failures.update(dict.fromkeys((Pass.INPUT_JACOBIAN, Pass.LOSS_GRAD), error.failure))
            return None

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor | None:
        """The loss of a part; None where the caller's loss raised."""
        try:
            return self.batch.loss(logits, targets)
        except ProxyError as error:
            self.result.failures[Pass.LOSS_GRAD] = error.failure
            return None

    def first_order(self, loss: Tensor, recording: Recording, size: int) -> None:
        """Gradients by the stand-ins, and by the activations where a collector takes them."""
        kept = recording.outputs if self.wants(Pass.ACTIVATIONS) else []
        gradients = differentiate(loss, [*self.leaves, *kept])
        # As the weights lie in memory: what is summed with them, and what alone, is summed in the same order.
        weights = [gradient.contiguous() for gradient in gradients[: len(self.leaves)]]
        activations = gradients[len(self.leaves) :]
        if self.batch.is_split:  # the sum over parts should not round to a half-precision type
            weights = [part.to(torch.promote_types(part.dtype, torch.float32)) for part in weights]
        self.sums = [a + b for a, b in zip(self.sums, weights, strict=True)] if self.sums else weights
        self.result.gradients = self.slots.shared(self.sums)
        self.result.own_gradients = self.slots.of_layers(self.sums)
        if self.wants(Pass.ACTIVATIONS):
            with self.result.guard(Pass.ACTIVATIONS):
                if self.other_size is not None:
                    self.other_size.check_rows(recording, size)
                self.collect(recording, activations, size / len(self.batch.inputs))

    def second_order(self, inputs: Tensor, targets: Tensor) -> None:
        """What takes the Hessian, after the graph of the first pass is gone."""
        if Pass.LOSS_GRAD not in self.result.failures and self.wants(Pass.HVP):
            with self.result.guard(Pass.HVP):
                self.result.curvature = self.slots.shared(self.products(inputs, targets))

    def products(self, inputs: Tensor, targets: Tensor) -> list[Tensor]:
        """Hessian times the gradient, by the fastest way that is exact for this net."""
        along = directions(self.slots, self.sums)

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

    def collect(self, recording: Recording, gradients: Sequence[Tensor], share: float) -> None:
        calls: list[list[tuple[Tensor, Tensor]]] = [[] for _ in self.layers]
        for layer, output, gradient in zip(recording.layer, recording.outputs, gradients, strict=True):
            calls[layer].append((output.detach(), gradient))
        for name, collector in self.collectors.items():
            part = collector(Activations(self.layers, calls)) * share
            before = self.result.collected.get(name)
            self.result.collected[name] = part if before is None else before + part


def differentiate(value: Tensor, points: Sequence[Tensor], *, create_graph: bool = False) -> list[Tensor]:
    """Gradient of a scalar by each point; zero where the value does not depend on it."""
    reached = [point for point in points if point.requires_grad] if value.requires_grad else []
    found: Sequence[Tensor | None] = []
    if reached:
        found = torch.autograd.grad(value, reached, create_graph=create_graph, allow_unused=True)
    by_point = {id(point): gradient for point, gradient in zip(reached, found, strict=True) if gradient is not None}
    return [by_point[id(point)] if id(point) in by_point else torch.zeros_like(point) for point in points]
