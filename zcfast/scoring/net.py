"""Scores of one net on one minibatch, from one call."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from zcfast.errors import integer
from zcfast.images.batch import ImageBatch
from zcfast.nets.counted import COUNTABLE
from zcfast.nets.inputs import Inputs, first_minibatch, sample_shape, tensors_of
from zcfast.passes.base import Results, with_requirements
from zcfast.passes.batch import Batch, Loss, find_logits
from zcfast.passes.engine import run_passes
from zcfast.passes.failures import Failure, Status, describe
from zcfast.passes.layers import find_layers
from zcfast.passes.turn import one_at_a_time
from zcfast.proxies.base import Proxy, resolve
from zcfast.proxies.sets import PAPER as PAPER
from zcfast.proxies.sets import expanded

Minibatch: TypeAlias = tuple[Inputs, Tensor] | ImageBatch
"""Inputs and targets."""


@dataclass(frozen=True)
class Protocol:
    """What a score depends on beside the net: two scores compare where these are equal.

    Attributes:
        batch_size, input_shape: of the minibatch; the shape is that of one sample, of several inputs one shape each, by
            keyword (keyword, shape).
        dtype: of the net's parameters.
        device: of the minibatch.
        loss: "cross_entropy" or the name of loss_fn.
        layers: names of the layer types that count.
        train: whether the net was in training mode.
        seed: of the random numbers that proxies draw; most draw none.
        minibatches: samples of each, where they were given in a list.
    """

    batch_size: int
    input_shape: tuple[Any, ...]
    dtype: str
    device: str
    loss: str
    layers: tuple[str, ...]
    train: bool
    seed: int
    minibatches: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Score:
    """The score of one net by one proxy.

    Attributes:
        value: the number; NaN unless status is "ok".
        log_value: its natural logarithm, for synflow and synflow_bn, whose value may be inf; NaN of a
            negative one, which nets with subtractions can have.
        per_layer: [L] float64 shares of the counted layers, where they were asked for and the score is their sum.
        layer_names: L names, where per_layer is given.
        standard_error: of a value that is the mean of several rounds of random draws; None of all others.
        status: "ok"; "undefined" where the formula has no value for this net and minibatch; "refused" where an option
            cannot be honoured exactly; "failed" where the net or its derivative raised.
        reason: why the status is not "ok".
        higher_is_better: the proxy's orientation.
        method: how it was computed where there are several ways: "pairs" or "backward" for synflow and synflow_bn,
            "tangents" or "double backward" for grasp; else empty.
        seconds: time of the passes that it needs, each of which may have served other proxies too, and of its own sums.
        protocol: what it was made under.
    """

    value: float
    log_value: float | None
    per_layer: Tensor | None
    layer_names: tuple[str, ...]
    standard_error: float | None
    status: Status
    reason: str
    higher_is_better: bool
    method: str
    seconds: float
    protocol: Protocol


def score(
    module: nn.Module,
    batch: Minibatch | list[Minibatch],
    proxies: str | Sequence[str | Proxy] = PAPER,
    *,
    loss_fn: Loss | None = None,
    logits: Callable[[Any], Tensor] | None = None,
    layers: tuple[type[nn.Module], ...] = COUNTABLE,
    per_layer: bool = False,
    train: bool = True,
    seed: int = 0,
) -> dict[str, Score]:
    """Score a net by several proxies, sharing forward and backward passes between them.

    The net comes back as it was: weights, gradients, buffers, modes, hooks, requires_grad, random state.

    Args:
        module: any net.
        batch: inputs and targets [N, ...] on the net's device, as a pair, an ImageBatch, or a DataLoader, of which the
            first minibatch is taken. Inputs are a tensor, several in a tuple, as in ``net(*inputs)``, or by keyword in
            a dict, as in ``net(**inputs)``, each [N, ...]. Integer ones are tokens: the Jacobian is taken, and
            synflow's ones are put, at the output of the nn.Embedding called on them; masks stay as they are. A list of
            several minibatches is one, their samples side by side, save in zico, which takes each by itself.
        proxies: names, or configured proxies such as zcfast.proxies.fisher(weighting="channel"); "paper", "modern",
            "cheap" and "all" stand for the proxies of these sets.
        loss_fn: (logits, targets) -> scalar, a mean over samples. Default: cross-entropy of [N, classes, ...].
        logits: finds the logits in the net's output. Default: see find_logits.
        layers: layer types whose weights count.
        per_layer: give the share of each layer too. synflow then takes a backward pass.
        train: put the net in training mode; False leaves each submodule in its mode.
        seed: of the random numbers that some proxies draw: for one seed, they are the same for all nets.

    Returns:
        One Score a proxy, by its label: the name, followed by options that are not the default. A proxy that fails
        has the value NaN, a status and a reason, and does not keep others from theirs.

    Calls from several threads wait for each other.

    Raises:
        TypeError, ValueError: an argument is wrong; the message names it, what was expected and what came.
        RuntimeError: the call comes from inside of another one, as from a hook of its net.
    """
    chosen = _resolve(proxies)
    if integer("seed", seed) < 0:
        raise ValueError(f"seed: expected a number >= 0, got {seed}")
    if not isinstance(module, nn.Module):
        raise TypeError(f"module: expected an nn.Module, got {type(module).__name__}")
    checked = _checked(batch, loss_fn, logits or find_logits)
    with one_at_a_time():
        checked.check_for(module)
        found = find_layers(module, layers)
        if not found and any(proxy.sums_layers for proxy in chosen):
            raise ValueError(f"module: {no_layer(layers)}")
        protocol = _protocol(module, checked, layers, train, seed)
        names = tuple(layer.name for layer in found)

        def finish(proxy: Proxy, results: Results | Failure, seconds: float) -> Score:
            return _score(proxy, results, seconds, protocol, names, per_layer)

        scores = run_passes(module, found, checked, chosen, finish, train=train, per_layer=per_layer, seed=seed)
        return {proxy.label: each for proxy, each in zip(chosen, scores, strict=True)}


def _checked(batch: Any, loss_fn: Loss | None, logits: Callable[[Any], Tensor]) -> Batch:
    """The minibatch; of a list of pairs, which targets, the second of a pair, are none of, all side by side."""
    batch = first_minibatch(batch)
    if isinstance(batch, list) and batch and all(isinstance(each, (ImageBatch, tuple, list)) for each in batch):
        return Batch.side_by_side([Batch(*_pair(each), loss_fn, logits) for each in batch])
    return Batch(*_pair(batch), loss_fn, logits)


def _pair(batch: Any) -> tuple[Any, Any]:
    pair = tuple(batch) if isinstance(batch, (ImageBatch, tuple, list)) else ()
    if len(pair) != 2:
        several = f" of {len(batch)}" if isinstance(batch, (tuple, list)) else ""
        raise TypeError(f"batch: expected (inputs, targets), got {type(batch).__name__}{several}")
    return pair


def no_layer(layers: Sequence[type[nn.Module]]) -> str:
    """What is wrong with a net without a layer of these types, for a proxy that sums over layers."""
    return f"expected at least one layer that counts ({', '.join(kind.__name__ for kind in layers)}), got none"


def _resolve(proxies: str | Sequence[str | Proxy]) -> list[Proxy]:
    wanted = expanded(proxies)
    if isinstance(wanted, str) or not isinstance(wanted, Iterable):
        raise TypeError(f"proxies: expected a list of names or configured proxies, got {proxies!r}")
    chosen = [resolve(proxy) for proxy in wanted]
    if not chosen:
        raise ValueError("proxies: expected at least one, got none")
    for proxy in chosen:
        if not isinstance(proxy.needs, tuple):
            raise TypeError(f"needs: expected a tuple of classes of passes, got {proxy.needs!r}")
        with_requirements(proxy.needs)
    labels = [proxy.label for proxy in chosen]
    if len(set(labels)) < len(labels):
        raise ValueError(f"proxies: expected each once, got {labels}")
    return chosen


def _score(
    proxy: Proxy,
    results: Results | Failure,
    seconds: float,
    protocol: Protocol,
    names: tuple[str, ...],
    per_layer: bool,
) -> Score:
    """The score from the results of passes, or the failure of one; `names` of the layers."""
    start = time.perf_counter()
    value, log_value, shares, method, spread = float("nan"), None, None, "", None
    failure = results if isinstance(results, Failure) else None
    if not isinstance(results, Failure):
        try:
            with torch.no_grad():
                value, shares = _value(proxy, results, len(names), per_layer)
                log_value, method = proxy.log_value(results), proxy.method(results)
                spread = proxy.standard_error(results)
            if value != value:
                failure = Failure("undefined", "the result is not a number: the net's values overflow or are NaN")
        except Exception as error:  # one proxy's failure is not another's
            failure = describe(error)
    if failure is not None:
        value, log_value, shares, method, spread = float("nan"), None, None, "", None
    return Score(
        value=value,
        log_value=log_value,
        per_layer=shares,
        layer_names=() if shares is None else names,
        standard_error=spread,
        status="ok" if failure is None else failure.status,
        reason="" if failure is None else failure.reason,
        higher_is_better=proxy.higher_is_better,
        method=method,
        seconds=seconds + time.perf_counter() - start,
        protocol=protocol,
    )


def _value(proxy: Proxy, results: Results, layers: int, per_layer: bool) -> tuple[float, Tensor | None]:
    """The score, and the shares of the layers where they are asked for and are what a user's proxy should give."""
    summed = type(proxy).value is Proxy.value
    shares = proxy.layerwise(results) if summed or per_layer else None
    if shares is not None and (not isinstance(shares, Tensor) or shares.shape != (layers,)):
        came = list(shares.shape) if isinstance(shares, Tensor) else type(shares).__name__
        raise TypeError(f"{proxy.name}: expected layerwise to give a tensor [{layers}], one number a layer, got {came}")
    value = shares.sum().item() if summed and shares is not None else float(proxy.value(results))
    return value, shares if per_layer else None


def _protocol(module: nn.Module, batch: Batch, layers: tuple[type[nn.Module], ...], train: bool, seed: int) -> Protocol:
    first = tensors_of(batch.inputs)[0]
    dtype = next((parameter.dtype for parameter in module.parameters()), first.dtype)
    return Protocol(
        batch_size=batch.samples,
        input_shape=_frozen(sample_shape(batch.inputs)),
        dtype=str(dtype).removeprefix("torch."),
        device=str(batch.device),
        loss="cross_entropy" if batch.loss_fn is None else getattr(batch.loss_fn, "__name__", str(batch.loss_fn)),
        layers=tuple(kind.__name__ for kind in layers),
        train=train,
        seed=seed,
        minibatches=batch.sizes,
    )


def _frozen(shape: Any) -> Any:
    """A shape, or several, as tuples."""
    if isinstance(shape, dict):
        return tuple((key, _frozen(each)) for key, each in shape.items())
    return tuple(map(_frozen, shape)) if isinstance(shape, list) else shape
