"""synflow's pass: the derivative of the sum of outputs along the weights themselves, all weights made positive.

Source: Tanaka et al. 2020 (Pruning neural networks without any data by iteratively conserving synaptic flow).
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode

from zcfast.ops import saliency_reduce
from zcfast.tracing.batch import Batch
from zcfast.tracing.batchnorm import (
    RefusedSingleValues,
    ReplacedBatchNorm,
    replace_modules,
    run_synchronised_as_plain,
)
from zcfast.tracing.embedding import tapped_embedding, without_embedding
from zcfast.tracing.isolation import isolated
from zcfast.tracing.layers import Layer
from zcfast.tracing.pair_functions import PairFunctions
from zcfast.tracing.pairs import CountedWeight, Pair, UnsupportedError
from zcfast.tracing.parameters import Slot, Slots
from zcfast.tracing.passes import ProxyError, describe
from zcfast.tracing.recording import recorded
from zcfast.tracing.references import check_references, check_unchanged
from zcfast.tracing.sampled import differentiate

_RESCALE = 1000  # powers of two: a net is run again with its inputs and biases scaled by them
_SMALLEST = 2.0**-900  # below this, float64 may have lost terms


@dataclass(frozen=True)
class Flow:
    """One synflow pass.

    Attributes:
        value: sum over the counted layers of W * dR/dW, or of |W * dR/dW| where BatchNorm is kept; inf where it exceeds
            float64.
        log_value: its natural logarithm, finite wherever the net is known to be homogeneous; -inf of a dead net.
        per_layer: [L] float64, if it was asked for.
        method: how it was computed: by pairs, by forward-mode or by reverse-mode differentiation.
    """

    value: float
    log_value: float
    per_layer: Tensor | None
    method: Literal["pairs", "forward", "reverse"]


def run_flow(
    module: nn.Module,
    layers: Sequence[Layer],
    batch: Batch,
    *,
    keep_batchnorm: bool,
    per_layer: bool,
    train: bool,
) -> Flow:
    """Compute the derivative by the fastest way that is exact for this net.

    Pairs serve nets of convolutions, linear layers, ReLU and pools; forward mode every net whose operations have a
    forward derivative; reverse mode the rest, and the values of single layers. With BatchNorm kept, terms may be
    negative and their absolute values are summed, as the published code does: that takes reverse mode.
    """
    run = _FlowRun(module, layers, batch, keep_batchnorm, train)
    try:
        return _by_fastest_way(run, per_layer=per_layer)
    except RuntimeError as error:
        reason = describe(error).reason
        if not any(word in reason for word in ("dtype", "scalar type", "Double")):
            raise
        raise ProxyError("failed", f"in float64, as synflow runs: {reason}") from error


def _by_fastest_way(run: "_FlowRun", *, per_layer: bool) -> Flow:
    if run.keep_batchnorm:
        return run.reverse("abs_product")
    if per_layer:
        flow = run.reverse("product")
        return flow if _SMALLEST < flow.value < math.inf else run.rescaled(flow)
    # Where a faster way raises, the next one decides whether the net or the rule is at fault.
    for method in (run.pairs, run.forward):
        try:
            return method()
        except ProxyError:
            raise
        except Exception:
            continue
    return run.reverse("product")


@dataclass(frozen=True)
class _FlowRun:
    module: nn.Module
    layers: Sequence[Layer]
    batch: Batch
    keep_batchnorm: bool
    train: bool

    def pairs(self) -> Flow:
        """Value and tangent through one batch of two, scaled where float64 would overflow or lose terms."""
        value = self.pairs_once(1.0)
        if _SMALLEST < value < math.inf:
            return Flow(value, math.log(value), None, "pairs")
        exponent = _RESCALE if value <= _SMALLEST else -_RESCALE
        scaled = self.pairs_once(2.0**exponent)
        if not math.isfinite(scaled):
            raise ProxyError("undefined", "the value exceeds float64 even after scaling")
        if scaled == 0:
            return Flow(0.0, -math.inf, None, "pairs")
        try:
            value = math.ldexp(scaled, -exponent)
        except OverflowError:
            value = math.inf
        return Flow(value, math.log(scaled) - exponent * math.log(2), None, "pairs")

    def rescaled(self, flow: Flow) -> Flow:
        """Add the logarithm that reverse mode could not give; its values of single layers stay as they are."""
        try:
            total = self.pairs()
        except Exception:  # no rule for this net: what reverse mode gave is all there is
            return flow
        return Flow(total.value, total.log_value, flow.per_layer, "reverse")

    def pairs_once(self, scale: float) -> float:
        def stand_in(slot: Slot, count: int) -> Tensor:
            parameter = slot.parameter.detach()
            return CountedWeight(parameter, count) if count else parameter.abs().double()

        def enter(value: Tensor) -> Pair:
            return value if isinstance(value, Pair) else Pair.constant(value, scale)

        with self.prepared(enter, PairFunctions(_copied)) as (slots, call):
            slots.install(stand_in)
            logits = call()
            if not isinstance(logits, Pair) or super(Pair, logits).requires_grad or logits.stacked.requires_grad:  # type: ignore[misc]
                raise UnsupportedError("the output is not a pair, or not of the stand-ins alone")
            return logits.tangent().sum().item()

    def forward(self) -> Flow:
        """Forward-mode differentiation along the weights."""

        def stand_in(slot: Slot, count: int) -> Tensor:
            weight = slot.parameter.detach().double().abs()
            return _dual(weight, count * weight) if count else weight

        with forward_ad.dual_level(), self.prepared(_as_it_is, ReplacedBatchNorm(_copied)) as (slots, call):
            slots.install(stand_in)
            with _RefusedReverseMode():
                total = call().sum()
            check_references(self.module, slots.parameters, slots.installed, total)
            primal, tangent = forward_ad.unpack_dual(total)  # type: ignore[no-untyped-call]
            value = 0.0 if tangent is None else tangent.item()
            _check_condition(value, primal.item())
            return _flow_of(value, None, "forward")

    def reverse(self, kind: Literal["product", "abs_product"]) -> Flow:
        """Reverse-mode differentiation: the value of every layer."""
        mode = RefusedSingleValues() if self.keep_batchnorm else ReplacedBatchNorm(_copied)
        with self.prepared(_as_it_is, mode) as (slots, call):
            stand_ins = slots.install(lambda slot, _: nn.Parameter(slot.parameter.detach().double().abs()))
            leaves = [stand_ins[index] for index in slots.counted]
            with recorded(self.layers) as recording:
                total = call().sum()
            recording.check_gradients()
            positive = (weight.double().abs() for weight in slots.weights)
            check_unchanged(zip(self.layers, positive, slots.of_layers(leaves), strict=True))
            check_references(self.module, slots.parameters, slots.installed, total)
            gradients = differentiate(total, leaves)
            weights = [leaf.detach() for leaf in slots.of_layers(leaves)]
            values = saliency_reduce(weights, slots.shared(gradients), [kind])[0]
            value = values.sum().item()
            if kind == "product":
                _check_condition(value, total.item())
            return _flow_of(value, values, "reverse")

    @contextmanager
    def prepared(
        self, enter: Callable[[Tensor], Tensor], mode: TorchFunctionMode
    ) -> Iterator[tuple[Slots, Callable[[], Tensor]]]:
        """Give the slots of the net, and its call in float64, in a mode, on one sample of ones as `enter` wraps it."""
        with ExitStack() as stack:
            modules = stack.enter_context(isolated(self.module, train=self.train)).modules
            stack.enter_context(sdpa_kernel(SDPBackend.MATH))  # fused attention has no forward derivative
            _make_buffers_positive(modules)
            run_synchronised_as_plain(modules)
            if not self.keep_batchnorm:
                replace_modules(modules, _copied)
            slots = Slots(modules, self.layers)
            slots.check_hooks()
            sample = self.batch.inputs[:1]
            if sample.is_complex() or any(slot.parameter.is_complex() for slot in slots.all):
                raise ProxyError("undefined", "complex numbers have no positive ones in their place")
            if sample.is_floating_point():
                flowing = enter(torch.ones_like(sample, dtype=torch.float64))
                yield slots, lambda: self.logits(flowing, mode)
                return
            ones = stack.enter_context(tapped_embedding(modules, sample, lambda out: enter(torch.ones_like(out))))

            def call() -> Tensor:
                logits = self.logits(sample.clone(), mode)
                if ones.output is None:
                    raise without_embedding(sample)
                return logits

            yield slots, call

    def logits(self, inputs: Tensor, mode: TorchFunctionMode) -> Tensor:
        with mode:
            return self.batch.found_logits(self.module(inputs))


# What a net may learn from these, or do by them, depends on the mode of differentiation.
_REVERSE_MODE = frozenset(
    {
        *(getattr(Tensor, name).__get__ for name in ("requires_grad", "grad_fn", "data")),
        *(getattr(Tensor, "data").__set__, Tensor.register_hook),  # noqa: B009  # mypy takes it for the tensor
        # torch 2.13 has no tangent of a product here, and raises nothing; where windows overlap, the modes differ.
        *(torch.scatter_reduce, Tensor.scatter_reduce, Tensor.scatter_reduce_),
        *(F.max_unpool1d, F.max_unpool2d, F.max_unpool3d),
    }
)


class _RefusedReverseMode(TorchFunctionMode):
    """Refuses what forward mode differentiates in another way than reverse mode, as no_grad, hooks and .data."""

    def __torch_function__(self, func: Any, types: Iterable[type], args: Any = (), kwargs: Any = None) -> Any:
        if not torch.is_grad_enabled() or func in _REVERSE_MODE:
            raise UnsupportedError("the net does what reverse mode alone differentiates as meant")
        return func(*args, **(kwargs or {}))


def _as_it_is(value: Tensor) -> Tensor:
    return value


def _copied(x: Tensor) -> Tensor:
    """What stands for a removed BatchNorm: a tensor of its own, that in-place operations may write to."""
    with torch._C.DisableTorchFunction():  # a mode would be asked about each attribute
        return x.with_stacked(x.stacked) if isinstance(x, Pair) else x.clone()


def _make_buffers_positive(modules: Sequence[nn.Module]) -> None:
    """float64 for all buffers, and absolute values for those that are saved with the net, as its parameters are."""
    for child in modules:
        for name, buffer in child._buffers.items():
            if buffer is not None and buffer.is_floating_point():
                saved = name not in child._non_persistent_buffers_set
                child._buffers[name] = (buffer.abs() if saved else buffer).detach().double()


def _dual(value: Tensor, tangent: Tensor) -> Tensor:
    return forward_ad.make_dual(value, tangent)  # type: ignore[no-any-return, no-untyped-call]


def _check_condition(value: float, total: float) -> None:
    """Raise ProxyError where rounding the weights changes the output by more than all of it, so that it has no digit.

    Attention over huge numbers is so: which of them is the largest hangs on the last digit of every weight.
    """
    if total != 0 and math.isfinite(value) and abs(value) * torch.finfo(torch.float64).eps > abs(total):
        raise ProxyError("undefined", "the weights' rounding decides over the whole output of the net")


def _flow_of(value: float, per_layer: Tensor | None, method: Literal["forward", "reverse"]) -> Flow:
    log_value = -math.inf if value == 0 else math.log(value) if value > 0 else math.nan
    return Flow(value, log_value, per_layer, method)
