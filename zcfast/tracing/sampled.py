"""The passes that take a minibatch: one forward and the backward passes that share it."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from zcfast.tracing.batch import Batch
from zcfast.tracing.batchnorm import RefusedBatchStatistics
from zcfast.tracing.curvature import hessian_vector_product, invariant_grasp
from zcfast.tracing.embedding import EmbeddingTap, tapped_embedding
from zcfast.tracing.isolation import isolated, random_devices
from zcfast.tracing.layers import Layer
from zcfast.tracing.parameters import Slots, expose_parametrized
from zcfast.tracing.passes import Failure, Pass, ProxyError, describe
from zcfast.tracing.recording import Activations, Recording, has_inplace_modules, recorded

Collector = Callable[[Activations], Tensor]


@dataclass
class Sampled:
    """What the passes over a minibatch leave behind; a list is empty where its pass did not run.

    Attributes:
        positions: [L] places of the output of each layer at which its weight was applied, over all samples.
        gradients: L gradients of the loss by the layers' weights.
        own_gradients: the same by each layer's own use of its weight: it differs where weights are tied.
        curvature: L tensors, Hessian over the counted weights times the gradients.
        invariant_grasp: [L] grasp of each layer by the scale invariance of BatchNorm.
        collected: sums over the parts of what each collector made of the activations, weighted by n/N.
        jacobian: [N, D] derivative of the sum of all logits by each sample.
        failures, seconds: of each pass.
    """

    positions: list[int] = field(default_factory=list)
    gradients: list[Tensor] = field(default_factory=list)
    own_gradients: list[Tensor] = field(default_factory=list)
    curvature: list[Tensor] = field(default_factory=list)
    invariant_grasp: Tensor | None = None
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
    with isolated(module, train=train) as modules:
        expose_parametrized(modules)
        run = _Run(module, modules, layers, batch, passes, collectors)
        for inputs, targets in batch.parts():
            run.part(inputs, targets)
            if Pass.FORWARD in run.result.failures:
                break
        if run.rows:
            run.result.jacobian = torch.cat(run.rows)
        return run.result


class _Run:
    """One run of the passes; the net holds stand-ins for its parameters all along."""

    def __init__(
        self,
        module: nn.Module,
        modules: Sequence[nn.Module],
        layers: Sequence[Layer],
        batch: Batch,
        passes: Pass,
        collectors: Mapping[str, Collector],
    ) -> None:
        self.module, self.modules, self.layers, self.batch = module, modules, layers, batch
        self.passes, self.collectors = passes, collectors
        self.result = Sampled(positions=[0] * len(layers))
        self.slots = Slots(modules, layers)
        gradients_wanted = passes != Pass.FORWARD
        # Copies, not views: a net that writes to its weights writes to these.
        stand_ins = self.slots.install(
            lambda slot, _: nn.Parameter(slot.parameter.detach().clone(), requires_grad=gradients_wanted)
        )
        self.leaves = [stand_ins[index] for index in self.slots.counted]
        self.rows: list[Tensor] = []
        self.sums: list[Tensor] = []
        if batch.is_split:
            reason = "microbatch: a second-order pass takes the gradient of the whole minibatch"
            for which in (Pass.HVP, Pass.LOGIT_CURVATURE):
                self.result.failures[which] = Failure("refused", reason)

    def wants(self, which: Pass) -> bool:
        return which in self.passes and which not in self.result.failures

    def part(self, inputs: Tensor, targets: Tensor) -> None:
        """Run all passes on one part and add what they give to the result."""
        share = len(inputs) / len(self.batch.inputs)
        point, recording = None, Recording()
        with self.result.guard(Pass.FORWARD):
            point, output, recording = self.forward(inputs)
        if Pass.FORWARD in self.result.failures:
            return
        for layer, positions in zip(recording.layer, recording.positions, strict=True):
            self.result.positions[layer] += positions
        if self.passes == Pass.FORWARD:
            return
        logits = self.batch.logits(output)
        if not isinstance(logits, Tensor):
            raise TypeError(f"logits: expected a tensor, got {type(logits).__name__}")
        if self.wants(Pass.INPUT_JACOBIAN):
            with self.result.guard(Pass.INPUT_JACOBIAN):
                self.input_jacobian(point, logits)
        if self.wants(Pass.LOSS_GRAD):
            loss = self.loss(logits, targets)
            if loss is not None:
                self.loss_passes(loss * share if self.batch.is_split else loss, logits, targets, recording, share)

    def forward(self, inputs: Tensor) -> tuple[Tensor | None, Any, Recording]:
        """One forward pass; once more with copies where the net overwrote, unannounced, an output to be kept."""
        keep = self.wants(Pass.ACTIVATIONS)
        clone = keep and has_inplace_modules(self.modules)
        point, output, recording = self.forward_once(inputs, keep=keep, clone=clone)
        if recording.was_overwritten() and not clone:
            point, output, recording = self.forward_once(inputs, keep=keep, clone=True)
        return point, output, recording

    def forward_once(self, inputs: Tensor, *, keep: bool, clone: bool) -> tuple[Tensor | None, Any, Recording]:
        point: Tensor | None = None
        tap: EmbeddingTap | None = None
        with ExitStack() as stack:
            devices = random_devices(self.module)
            stack.enter_context(torch.random.fork_rng(devices))
            stack.enter_context(torch.set_grad_enabled(self.passes != Pass.FORWARD))
            if self.passes & Pass.HVP:  # the fused attention kernels have no second derivative
                stack.enter_context(sdpa_kernel(SDPBackend.MATH))
            if self.batch.is_split:
                stack.enter_context(RefusedBatchStatistics())
            gradients = self.passes != Pass.FORWARD
            recording = stack.enter_context(recorded(self.layers, gradients=gradients, keep=keep, clone=clone))
            # The net gets a copy: it may write to its input, and a leaf that needs a gradient cannot be written to.
            flowing = inputs.detach().clone()
            if self.passes & Pass.INPUT_JACOBIAN:
                if inputs.is_floating_point():
                    point = inputs.detach().clone().requires_grad_()
                    flowing = point.clone()
                else:
                    tap = stack.enter_context(tapped_embedding(self.modules, inputs, Tensor.clone))
            before = _random_state(devices)
            output = self.module(flowing)
            if self.batch.is_split and not torch.equal(before, _random_state(devices)):
                raise ProxyError("refused", "microbatch: the net draws random numbers, which parts draw differently")
        return (tap.output if tap else point), output, recording

    def input_jacobian(self, point: Tensor | None, logits: Tensor) -> None:
        if point is None:
            raise ProxyError("failed", "integer inputs: no nn.Embedding was called on them, so there is no Jacobian")
        rows = torch.zeros_like(point)
        if logits.requires_grad:
            later = self.wants(Pass.LOSS_GRAD)
            (found,) = torch.autograd.grad(logits.sum(), [point], retain_graph=later, allow_unused=True)
            rows = rows if found is None else found
        self.rows.append(rows.detach().flatten(1))

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor | None:
        """The loss of a part; None where the caller's loss raised."""
        try:
            return self.batch.loss(logits, targets)
        except ProxyError as error:
            self.result.failures[Pass.LOSS_GRAD] = error.failure
            return None

    def loss_passes(self, loss: Tensor, logits: Tensor, targets: Tensor, recording: Recording, share: float) -> None:
        """The backward pass of the loss and what builds on it."""
        gradients: list[Tensor] = []
        with self.result.guard(Pass.LOSS_GRAD):
            gradients = self.first_order(loss, recording, share)
        if Pass.LOSS_GRAD in self.result.failures:
            return
        if self.wants(Pass.LOGIT_CURVATURE):
            with self.result.guard(Pass.LOGIT_CURVATURE):
                self.result.invariant_grasp = invariant_grasp(
                    self.layers,
                    self.slots,
                    self.leaves,
                    self.result.gradients,
                    loss,
                    logits,
                    lambda point: self.batch.loss(point, targets),
                    recording,
                )
        if self.wants(Pass.HVP):
            with self.result.guard(Pass.HVP):
                self.result.curvature = hessian_vector_product(self.slots, self.leaves, gradients)

    def first_order(self, loss: Tensor, recording: Recording, share: float) -> list[Tensor]:
        """Gradients by the stand-ins, with their graph where a second derivative follows."""
        again = self.wants(Pass.HVP)
        kept = recording.outputs if self.wants(Pass.ACTIVATIONS) else []
        gradients = differentiate(
            loss, [*self.leaves, *kept], create_graph=again, retain_graph=again or self.wants(Pass.LOGIT_CURVATURE)
        )
        weights, activations = gradients[: len(self.leaves)], gradients[len(self.leaves) :]
        detached = [gradient.detach() for gradient in weights]
        if self.batch.is_split:  # the sum over parts should not round to a half-precision type
            detached = [part.to(torch.promote_types(part.dtype, torch.float32)) for part in detached]
        self.sums = [a + b for a, b in zip(self.sums, detached, strict=True)] if self.sums else detached
        self.result.gradients = self.slots.shared(self.sums)
        self.result.own_gradients = [self.sums[rank] for rank in self.slots.own]
        if self.wants(Pass.ACTIVATIONS):
            with self.result.guard(Pass.ACTIVATIONS):
                self.collect(recording, [gradient.detach() for gradient in activations], share)
        return weights

    def collect(self, recording: Recording, gradients: Sequence[Tensor], share: float) -> None:
        calls: list[list[tuple[Tensor, Tensor]]] = [[] for _ in self.layers]
        for layer, output, gradient in zip(recording.layer, recording.outputs, gradients, strict=True):
            calls[layer].append((output.detach(), gradient))
        for name, collector in self.collectors.items():
            part = collector(Activations(self.layers, calls)) * share
            before = self.result.collected.get(name)
            self.result.collected[name] = part if before is None else before + part


def differentiate(
    value: Tensor, points: Sequence[Tensor], *, create_graph: bool = False, retain_graph: bool = False
) -> list[Tensor]:
    """Gradient of a scalar by each point; zero where the value does not depend on it."""
    reached = [point for point in points if point.requires_grad] if value.requires_grad else []
    found: Sequence[Tensor | None] = []
    if reached:
        found = torch.autograd.grad(
            value, reached, create_graph=create_graph, retain_graph=retain_graph or create_graph, allow_unused=True
        )
    by_point = {id(point): gradient for point, gradient in zip(reached, found, strict=True) if gradient is not None}
    return [by_point[id(point)] if id(point) in by_point else torch.zeros_like(point) for point in points]


def _random_state(devices: Sequence[torch.device]) -> Tensor:
    states = [torch.get_rng_state(), *(torch.cuda.get_rng_state(device) for device in devices)]
    return torch.cat(states)
