"""Scores of one net on one minibatch, from one call."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from zcfast.images.batch import ImageBatch
from zcfast.nets.counted import COUNTABLE
from zcfast.proxies.base import Proxy, resolve
from zcfast.tracing.batch import Batch, Loss, find_logits
from zcfast.tracing.layers import find_layers
from zcfast.tracing.passes import Failure, Pass, Status, describe
from zcfast.tracing.trace import Trace, trace
from zcfast.tracing.turn import one_at_a_time

PAPER = ("grad_norm", "snip", "grasp", "fisher", "synflow", "jacob_cov")


@dataclass(frozen=True)
class Protocol:
    """What a score depends on beside the net: two scores compare where these are equal.

    Attributes:
        batch_size, input_shape: of the minibatch; the shape is that of one sample.
        dtype: of the net's parameters.
        device: of the minibatch.
        loss: "cross_entropy" or the name of loss_fn.
        layers: names of the layer types that count.
        train: whether the net was in training mode.
    """

    batch_size: int
    input_shape: tuple[int, ...]
    dtype: str
    device: str
    loss: str
    layers: tuple[str, ...]
    train: bool


@dataclass(frozen=True, eq=False)
class Score:
    """The score of one net by one proxy.

    Attributes:
        value: the number; NaN unless status is "ok".
        log_value: its natural logarithm, for synflow and synflow_bn, whose value may be inf; NaN of a
            negative one, which nets with subtractions can have.
        per_layer: [L] float64 shares of the counted layers, where they were asked for and the score is their sum.
        layer_names: L names, where per_layer is given.
        status: "ok"; "undefined" where the formula has no value for this net and minibatch; "refused" where an option
            cannot be honoured exactly; "failed" where the net or its derivative raised.
        reason: why the status is not "ok".
        higher_is_better: the proxy's orientation.
        method: "pairs" or "backward" for synflow and synflow_bn, which have two ways to one number; else empty.
        seconds: time of the passes that it needs, each of which may have served other proxies too, and of its own sums.
        protocol: what it was made under.
    """

    value: float
    log_value: float | None
    per_layer: Tensor | None
    layer_names: tuple[str, ...]
    status: Status
    reason: str
    higher_is_better: bool
    method: str
    seconds: float
    protocol: Protocol


def score(
    module: nn.Module,
    batch: tuple[Tensor, Tensor] | ImageBatch,
    proxies: Sequence[str | Proxy] = PAPER,
    *,
    loss_fn: Loss | None = None,
    logits: Callable[[Any], Tensor] | None = None,
    layers: tuple[type[nn.Module], ...] = COUNTABLE,
    per_layer: bool = False,
    train: bool = True,
) -> dict[str, Score]:
    """Score a net by several proxies, sharing forward and backward passes between them.

    The net comes back as it was: weights, gradients, buffers, modes, hooks, requires_grad, random state.

    Args:
        module: any net.
        batch: inputs [N, ...] and targets [N, ...] on the net's device, as a pair or an ImageBatch. Integer inputs are
            tokens: the Jacobian is taken, and synflow's ones are put, at the output of the nn.Embedding called on them.
        proxies: names, or configured proxies such as zcfast.proxies.fisher(weighting="channel").
        loss_fn: (logits, targets) -> scalar, a mean over samples. Default: cross-entropy of [N, classes, ...].
        logits: finds the logits in the net's output. Default: see find_logits.
        layers: layer types whose weights count.
        per_layer: give the share of each layer too. synflow then takes a backward pass.
        train: put the net in training mode; False leaves each submodule in its mode.

    Returns:
        One Score a proxy, by its label: the name, followed by options that are not the default. A proxy that fails
        has the value NaN, a status and a reason, and does not keep others from theirs.

    Calls from several threads wait for each other.

    Raises:
        TypeError, ValueError: an argument is wrong; the message names it, what was expected and what came.
        RuntimeError: the call comes from inside of another one, as from a hook of its net.
    """
    chosen = _resolve(proxies)
    if not isinstance(module, nn.Module):
        raise TypeError(f"module: expected an nn.Module, got {type(module).__name__}")
    if isinstance(batch, ImageBatch):
        batch = (batch.inputs, batch.targets)
    if not isinstance(batch, (tuple, list)) or len(batch) != 2:
        raise TypeError(f"batch: expected (inputs, targets), got {type(batch).__name__}")
    checked = Batch(*batch, loss_fn, logits or find_logits)
    with one_at_a_time():
        checked.check_for(module)
        found = find_layers(module, layers)
        if not found and any(proxy.sums_layers for proxy in chosen):
            kinds = ", ".join(kind.__name__ for kind in layers)
            raise ValueError(f"module: expected at least one layer that counts ({kinds}), got none")
        passes = Pass.NONE
        for proxy in chosen:
            passes |= proxy.needs
        result = trace(
            module,
            found,
            checked,
            passes,
            collectors={proxy.label: proxy.collect for proxy in chosen if Pass.ACTIVATIONS in proxy.needs},
            saliency_kinds=[proxy.saliency for proxy in chosen if proxy.saliency],
            flow_per_layer=per_layer,
            train=train,
        )
        protocol = _protocol(module, checked, layers, train)
        return {proxy.label: _score(proxy, result, protocol, per_layer) for proxy in chosen}


def _resolve(proxies: Sequence[str | Proxy]) -> list[Proxy]:
    if isinstance(proxies, str) or not isinstance(proxies, Iterable):
        raise TypeError(f"proxies: expected a list of names or configured proxies, got {proxies!r}")
    chosen = [resolve(proxy) for proxy in proxies]
    if not chosen:
        raise ValueError("proxies: expected at least one, got none")
    labels = [proxy.label for proxy in chosen]
    if len(set(labels)) < len(labels):
        raise ValueError(f"proxies: expected each once, got {labels}")
    return chosen


def _score(proxy: Proxy, result: Trace, protocol: Protocol, per_layer: bool) -> Score:
    start = time.perf_counter()
    needs = proxy.needs.with_requirements()
    failure = next((failure for which, failure in result.sampled.failures.items() if which in needs), None)
    value, log_value, shares = float("nan"), None, None
    if failure is None:
        try:
            with torch.no_grad():
                value, log_value = proxy.value(result), proxy.log_value(result)
                shares = proxy.layerwise(result) if per_layer else None
            if value != value:
                failure = Failure("undefined", "the result is not a number: the net's values overflow or are NaN")
        except Exception as error:  # one proxy's failure is not another's
            value, failure = float("nan"), describe(error)
    passes = sum(seconds for which, seconds in result.sampled.seconds.items() if which in needs)
    return Score(
        value=value,
        log_value=log_value if failure is None else None,
        per_layer=shares if failure is None else None,
        layer_names=tuple(layer.name for layer in result.layers) if shares is not None and failure is None else (),
        status="ok" if failure is None else failure.status,
        reason="" if failure is None else failure.reason,
        higher_is_better=proxy.higher_is_better,
        method=proxy.method(result) if failure is None else "",
        seconds=passes + time.perf_counter() - start,
        protocol=protocol,
    )


def _protocol(module: nn.Module, batch: Batch, layers: tuple[type[nn.Module], ...], train: bool) -> Protocol:
    dtype = next((parameter.dtype for parameter in module.parameters()), batch.inputs.dtype)
    return Protocol(
        batch_size=len(batch.inputs),
        input_shape=tuple(batch.inputs.shape[1:]),
        dtype=str(dtype).removeprefix("torch."),
        device=str(batch.inputs.device),
        loss="cross_entropy" if batch.loss_fn is None else getattr(batch.loss_fn, "__name__", str(batch.loss_fn)),
        layers=tuple(kind.__name__ for kind in layers),
        train=train,
    )
