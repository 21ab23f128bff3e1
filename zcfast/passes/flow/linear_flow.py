"""synflow's pass: how the sum of outputs changes along each weight, all weights made positive.

Source: Tanaka et al. 2020 (Pruning neural networks without any data by iteratively conserving synaptic flow).
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

import zcfast.passes.flow.pair_rules  # noqa: F401  fills the table of rules
from zcfast.nets.inputs import Inputs, mapped, tensors_of
from zcfast.ops import saliency_reduce
from zcfast.passes.base import Pass, Reads, Results
from zcfast.passes.batch import Batch
from zcfast.passes.draws import Draws
from zcfast.passes.embedding import require_real, tapped_embeddings, tokens_in
from zcfast.passes.failures import ProxyError, WrongArgumentError, describe
from zcfast.passes.flow.batchnorm import (
    KeptBatchNorm,
    ReplacedBatchNorm,
    replace_modules,
    run_synchronised_as_plain,
)
from zcfast.passes.flow.pairs import CountedWeight, Pair, PairRules
from zcfast.passes.forward import differentiate
from zcfast.passes.layers import Layer
from zcfast.passes.net import Net
from zcfast.passes.opaque import UnsupportedError
from zcfast.passes.recording import recorded
from zcfast.passes.redraw import kaiming_fan_out, redrawn
from zcfast.passes.references import check_references, check_unchanged
from zcfast.passes.repeated import Repeated
from zcfast.passes.slots import Slot, Slots
from zcfast.passes.unseen import BATCH_NORM, hidden_operations

_RESCALE = 1000  # powers of two: a net is run again with its inputs and biases scaled by them
_SMALLEST = 2.0**-900  # below this, float64 may have lost terms
_LAST_DIGIT = 2.0**-51  # of a number about 1
_SHARE = 1e-3  # of a value that rounding may decide
_FACTOR = 1e6  # by which it may move a value with BatchNorm kept


@dataclass(frozen=True)
class Flow:
    """One synflow pass.

    Attributes:
        value: sum over the counted layers of |W * dR/dW|, or of W * dR/dW where that was asked for; inf where it
            exceeds float64.
        log_value: its natural logarithm, finite wherever the net is known to be homogeneous; -inf of a dead net, NaN of
            a negative value.
        per_layer: [L] float64, if it was asked for.
        method: how the value was computed: by pairs in a forward pass, or by a backward pass.
    """

    value: float
    log_value: float
    per_layer: Tensor | None
    method: Literal["pairs", "backward"]


class LinearFlow(Pass):
    """One pass of synflow, every BatchNorm removed: the sum of |W dR/dW|.

    It runs forward, by pairs, where no term can be negative: in nets of convolutions, linear layers, ReLU, pools, sums
    and concatenations. Others take a backward pass, as do the values of single layers.
    """

    reads: ClassVar[Reads] = "shape"
    keep_batchnorm: ClassVar[bool] = False
    by_pairs: ClassVar[bool] = True

    def shares(self, weights: Sequence[Tensor], gradients: Sequence[Tensor]) -> Tensor:
        """[L] float64, the share of each layer, of its weight and the derivative of R by it."""
        return saliency_reduce(weights, gradients, ["abs_product"])[0]

    def layers(self, net: Net) -> Sequence[Layer]:
        """The layers that count."""
        return net.layers

    def slots(self, net: Net) -> Slots:
        """The places of parameters, of which those of the layers count."""
        layers = self.layers(net)
        return net.slots if layers is net.layers else net.slots.counting(layers)

    def run(self, net: Net, batch: Batch, done: Results) -> Flow:
        """Compute the flow.

        Raises:
            ProxyError: the net raised, or rounding decides over the value.
        """
        net.require_repetition()
        is_first = not net.has_run
        run = _FlowRun(net, batch, self)
        flow = run.flow(per_layer=net.per_layer)
        net.first_flow = net.first_flow or (lambda: run.flow(per_layer=False).value, flow.value)
        if not (is_first and (flow.method == "pairs" or self.keep_batchnorm)):
            net.require_same_flow()
        return flow


class SignedLinearFlow(LinearFlow):
    """The same of the terms with their signs."""

    def shares(self, weights: Sequence[Tensor], gradients: Sequence[Tensor]) -> Tensor:
        """The signed terms."""
        return saliency_reduce(weights, gradients, ["product"])[0]


class BatchNormLinearFlow(LinearFlow):
    """One forward and backward pass of synflow, BatchNorm kept."""

    cost = 1.0
    keep_batchnorm = True
    by_pairs = False


class LogLinearFlow(LinearFlow):
    """The same of |W log(dR/dW + 1)|, every BatchNorm removed. It takes each derivative, so always a backward pass."""

    cost = 1.0
    by_pairs = False

    def shares(self, weights: Sequence[Tensor], gradients: Sequence[Tensor]) -> Tensor:
        """The terms by logarithms of derivatives, which are negative nowhere in the nets that the score is made for."""
        if any(bool((gradient <= -1).any()) for gradient in gradients):
            raise ProxyError("undefined", "a derivative is -1 or less, so that log(dR/dW + 1) has no value")
        if not all(bool(gradient.isfinite().all()) for gradient in gradients):
            raise ProxyError("undefined", "a derivative exceeds float64")
        sums = [(w * g.log1p()).abs().sum() for w, g in zip(weights, gradients, strict=True)]
        return torch.stack(sums) if sums else torch.zeros(0, dtype=torch.float64)


class DrawnLogFlow(Repeated):
    """Of each draw of Kaiming weights (fan out), with biases 0, the value of `LogLinearFlow`."""

    reads = "shape"
    stream = "logsynflow"
    cost = 1.0

    def once(self, net: Net, batch: Batch, draws: Draws) -> float:
        """The value of one draw."""
        net.slots.check_hooks()
        with redrawn(net, draws, kaiming_fan_out):
            return _FlowRun(net, batch, _LogFlowOfCopies()).flow(per_layer=False).value


class _LogFlowOfCopies(LogLinearFlow):
    def slots(self, net: Net) -> Slots:
        return net.slots.holding(net.copies, net.layers)


@dataclass(frozen=True)
class _FlowRun:
    net: Net
    batch: Batch
    form: LinearFlow
    kept: KeptBatchNorm = field(default_factory=KeptBatchNorm)

    @cached_property
    def layers(self) -> Sequence[Layer]:
        """The layers that count."""
        return self.form.layers(self.net)

    @cached_property
    def slots(self) -> Slots:
        """The places of parameters, of which those of the layers count."""
        return self.form.slots(self.net)

    def flow(self, *, per_layer: bool) -> Flow:
        """By pairs where no term can be negative, else by a backward pass."""
        total = self.pairs() if self.form.by_pairs else None
        if total is not None and not per_layer:
            return total
        try:
            layerwise = self.backward()
            self.net.require_sight(BATCH_NORM, self.watched)
            if total is None:
                total = _flow_of(layerwise.sum().item())
                self.check_rounding(total.value)
        except (ProxyError, WrongArgumentError):
            raise
        except Exception as error:
            raise ProxyError("failed", f"in float64, as synflow runs: {describe(error).reason}") from error
        return replace(total, per_layer=layerwise) if per_layer else total

    def pairs(self) -> Flow | None:
        """Value and tangent in one forward pass, scaled where float64 would overflow or lose terms.

        None where something has no rule, or raises: the backward pass decides whether the net or the rule is at fault.
        """
        try:
            value = self.pairs_once(1.0)
            if _SMALLEST < value < math.inf:
                return Flow(value, math.log(value), None, "pairs")
            exponent = _RESCALE if value <= _SMALLEST else -_RESCALE
            scaled = self.pairs_once(2.0**exponent)
        except ProxyError:
            raise
        except Exception as error:
            if self.net.is_broken:
                raise ProxyError("failed", f"in float64, as synflow runs: {describe(error).reason}") from error
            return None
        if not math.isfinite(scaled):
            raise ProxyError("undefined", "the value exceeds float64 even after scaling")
        if scaled == 0:
            return Flow(0.0, -math.inf, None, "pairs")
        try:
            value = math.ldexp(scaled, -exponent)
        except OverflowError:
            value = math.inf
        return Flow(value, math.log(scaled) - exponent * math.log(2), None, "pairs")

    def pairs_once(self, scale: float) -> float:
        def stand_in(slot: Slot, count: int) -> Tensor:
            parameter = slot.parameter.detach()
            return CountedWeight(parameter, count) if count else parameter.abs().double()

        def enter(value: Tensor) -> Pair:
            return value if isinstance(value, Pair) else Pair(scale * value, None, 0, scale)

        with self.prepared(enter, PairRules(Tensor.clone)) as (slots, call):
            slots.install(stand_in)
            logits = call()
            if not isinstance(logits, Pair) or super(Pair, logits).requires_grad or logits.tangent.requires_grad:  # type: ignore[misc]
                raise UnsupportedError("the output is not a pair, or not of the stand-ins alone")
            return logits.tangent.sum().item()

    def backward(self, change: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """The value of every layer, [L]; `change` is applied to the input, all weights and the outputs of layers."""
        mode = self.kept if self.form.keep_batchnorm else ReplacedBatchNorm(Tensor.clone)
        changed = change or _as_it_is
        with self.prepared(changed, mode) as (slots, call), ExitStack() as stack:
            stand_ins = slots.install(lambda slot, count: nn.Parameter(changed(_positive(slot, count))))
            leaves = [stand_ins[index] for index in slots.counted]
            recording = stack.enter_context(recorded(self.net.layers))
            for layer in self.net.layers if change else ():
                stack.enter_context(layer.module.register_forward_hook(lambda module, args, output: changed(output)))
            total = call().sum()
            recording.check_gradients()
            if not change:
                positive = (weight.double().abs() for weight in slots.weights)
                check_unchanged(zip(self.layers, positive, slots.of_layers(leaves), strict=True))
            check_references(self.net.module, slots.parameters, slots.installed, total)
            gradients = differentiate(total, leaves)
            weights = [leaf.detach() for leaf in slots.of_layers(leaves)]
            return self.form.shares(weights, slots.shared(gradients))

    def with_other_rounding(self, value: float) -> float:
        """A value with BatchNorm kept, of another size than the given one if there is such."""
        if self.kept.saw_rounding:
            self.kept.exact = True
            exact = self.backward().sum().item()
            self.kept.exact = False
            if not _are_of_one_size(value, exact):
                return exact
        try:
            return self.backward(_innermost).sum().item()
        except RuntimeError:  # view() of an image fails in most formats but the contiguous one
            return value

    def watched(self) -> list[str]:
        """The operations that hide from modes in a call."""
        with self.prepared(_as_it_is, ReplacedBatchNorm(Tensor.clone)) as (slots, call):
            slots.install(lambda slot, count: nn.Parameter(_positive(slot, count)))
            return hidden_operations(call)

    def check_rounding(self, value: float) -> None:
        """Raise ProxyError where rounding decides over a finite value.

        Where attention picks the largest of huge numbers, or a normalisation divides rounding errors by nearly nothing,
        a value has no digit. Moving numbers in their last digit, as Monte Carlo arithmetic does (Parker 1997), gives
        another value there, and moves a value of d digits in the d-th alone.

        With BatchNorm kept, equal maxima of constant maps are no fault, but would not outlive a move. There maps that
        are constant but for rounding deviate by exactly 0 in the second run, and sums are taken in another order, that
        of channels_last, in the third. The size alone has to be that of the first: published values have no more.
        """
        if not math.isfinite(value):
            return
        if not self.form.keep_batchnorm:
            again = self.backward(_moved).sum().item()
            right = abs(again - value) <= _SHARE * abs(value)
        else:
            again = self.with_other_rounding(value)
            right = _are_of_one_size(value, again)
        if not right:
            reason = f"rounding decides over the value: {value:.4g}, or {again:.4g} with other rounding errors"
            raise ProxyError("undefined", reason)

    @contextmanager
    def prepared(
        self, enter: Callable[[Tensor], Tensor], mode: TorchFunctionMode
    ) -> Iterator[tuple[Slots, Callable[[], Tensor]]]:
        """Give the slots of the net, and its call in float64, in a mode, on one sample of ones as `enter` wraps it."""
        with ExitStack() as stack:
            self.net.restart()
            stack.enter_context(torch.random.fork_rng(self.net.random_devices))
            modules, slots = self.net.modules, self.slots
            _make_buffers_positive(modules)
            run_synchronised_as_plain(modules)
            if not self.form.keep_batchnorm:
                replace_modules(modules, Tensor.clone)  # in-place operations may write to it
            slots.check_hooks()
            sample = mapped(lambda x: x[:1], self.batch.inputs)
            if any(x.is_complex() for x in (*tensors_of(sample), *(slot.parameter for slot in slots.all))):
                raise ProxyError("undefined", "complex numbers have no positive ones in their place")

            def ones(x: Tensor) -> Tensor:
                return enter(torch.ones_like(x, dtype=torch.float64)) if x.is_floating_point() else x.clone()

            flowing, tokens = mapped(ones, sample), tokens_in(sample)
            taps = stack.enter_context(tapped_embeddings(modules, tokens, lambda out: enter(torch.ones_like(out))))

            def call() -> Tensor:
                logits = self.logits(flowing, mode)
                real = [x for x in tensors_of(sample) if x.is_floating_point()]
                require_real(sample, [*real, *(tap.output for tap in taps if tap.output is not None)])
                return logits

            yield slots, call

    def logits(self, inputs: Inputs, mode: TorchFunctionMode) -> Tensor:
        with mode:
            return self.batch.found_logits(self.net.call(inputs), 1)


def _are_of_one_size(one: float, other: float) -> bool:
    return one == other or max(one, other) <= _FACTOR * min(one, other)


def _positive(slot: Slot, _: int) -> Tensor:
    return slot.parameter.detach().double().abs()


def _as_it_is(value: Tensor) -> Tensor:
    return value


def _innermost(x: Tensor) -> Tensor:
    """The channels of an image innermost in memory."""
    return x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x


def _moved(x: Tensor) -> Tensor:
    """Each number off by up to two units in its last digit, in a pattern that looks like chance."""
    pattern = torch.arange(1, x.numel() + 1, dtype=x.dtype, device=x.device).sin_().view(x.shape)
    return x * (1 + _LAST_DIGIT * pattern)


def _make_buffers_positive(modules: Sequence[nn.Module]) -> None:
    """float64 for all buffers, and absolute values for those that are saved with the net, as its parameters are."""
    for child in modules:
        for name, buffer in child._buffers.items():
            if buffer is not None and buffer.is_floating_point():
                saved = name not in child._non_persistent_buffers_set
                child._buffers[name] = (buffer.abs() if saved else buffer).detach().double()


def _flow_of(value: float) -> Flow:
    log_value = -math.inf if value == 0 else math.log(value) if value > 0 else math.nan
    return Flow(value, log_value, None, "backward")
