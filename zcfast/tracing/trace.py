"""Runs what the requested proxies need of a net, once, and holds the results."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor, nn

from zcfast.ops import saliency_reduce
from zcfast.tracing.batch import Batch
from zcfast.tracing.flow import Flow, run_flow
from zcfast.tracing.forward import UNREPEATABLE, runs_no_foreign_code
from zcfast.tracing.isolation import isolated
from zcfast.tracing.layers import Layer
from zcfast.tracing.passes import FLOWS, Pass
from zcfast.tracing.products import run_products
from zcfast.tracing.recording import Activations
from zcfast.tracing.sampled import Collector, Sampled, run_sampled

__all__ = ["Activations", "Batch", "Pass", "Trace", "trace"]


@dataclass
class Trace:
    """Results of the passes over one net and one minibatch.

    Attributes:
        module: the net, as the caller gave it.
        layers: the L counted layers.
        batch: the minibatch.
        weights: the layers' weights; of a parametrized layer, the result of the parametrization.
        sampled: results of the passes over the minibatch.
        flows: synflow's passes that succeeded.
        saliency_kinds: the sums over gradients that will be asked for, so that one sweep over memory serves all.
        products: multiply-adds of a forward pass for one sample, if they were asked for.
    """

    module: nn.Module
    layers: Sequence[Layer]
    batch: Batch
    weights: Sequence[Tensor]
    sampled: Sampled
    flows: Mapping[Pass, Flow]
    saliency_kinds: tuple[str, ...] = ()
    products: float = math.nan
    _saliencies: dict[str, Tensor] = field(default_factory=dict)

    def saliency(self, kind: str) -> Tensor:
        """Sum a saliency of the loss gradient over each layer; see saliency_reduce for the kinds.

        "abs_product" takes the gradient by each layer's own use of its weight, the others that of the whole weight:
        the two differ only where weights are tied.

        Returns:
            [L] float64.
        """
        if kind not in self._saliencies:
            kinds = [name for name in dict.fromkeys((*self.saliency_kinds, kind)) if name not in self._saliencies]
            rows = saliency_reduce(self.weights, self.sampled.gradients, kinds)
            self._saliencies.update(zip(kinds, rows, strict=True))
            own, shared = self.sampled.own_gradients, self.sampled.gradients
            if "abs_product" in kinds and any(a is not b for a, b in zip(own, shared, strict=True)):
                self._saliencies["abs_product"] = saliency_reduce(self.weights, own, ["abs_product"])[0]
        return self._saliencies[kind]


def trace(
    module: nn.Module,
    layers: Sequence[Layer],
    batch: Batch,
    passes: Pass,
    *,
    collectors: Mapping[str, Collector] | None = None,
    saliency_kinds: Collection[str] = (),
    flow_per_layer: bool = False,
    train: bool = True,
) -> Trace:
    """Run each pass once and leave the net as it was, also after an exception.

    Args:
        module: the net.
        layers: the counted layers, of find_layers.
        batch: the minibatch.
        passes: what to run; passes that these build on are added.
        collectors: named functions from Activations to [L], called while the activations of a part are there. Each is
            a mean over samples; parts are weighted by their share.
        saliency_kinds: which sums over gradients will be asked for.
        flow_per_layer: run synflow backward, for its value of each layer.
        train: put the net in training mode; False leaves every submodule in the mode it is in.

    Raises:
        TypeError, ValueError: an argument that shows itself as wrong during the run.
    """
    passes = passes.with_requirements()
    weights = _weights(module, layers, train=train)
    sampled = Sampled()
    minibatch_passes = passes & ~Pass.PRODUCTS
    for which in FLOWS:
        minibatch_passes &= ~which
    if minibatch_passes:
        sampled = run_sampled(
            module,
            layers,
            batch,
            minibatch_passes,
            collectors or {},
            train=train,
            followed=any(which in passes for which in FLOWS),
        )

    def run(which: Pass) -> Flow:
        return run_flow(
            module,
            layers,
            batch,
            keep_batchnorm=which is Pass.LINEAR_FLOW_BATCHNORM,
            signed=which is Pass.LINEAR_FLOW_SIGNED,
            per_layer=flow_per_layer,
            train=train,
        )

    flows: dict[Pass, Flow] = {}
    wanted = [which for which in FLOWS if which in passes]
    for which in wanted:
        if sampled.unrepeatable is not None:
            sampled.failures[which] = sampled.unrepeatable
            continue
        with sampled.guard(which):
            flows[which] = run(which)
    if not minibatch_passes and not runs_no_foreign_code(module.modules(), batch):
        _require_repetition(sampled, flows, run, one=len(wanted) == 1)
    products = math.nan
    if Pass.PRODUCTS in passes:
        with sampled.guard(Pass.PRODUCTS):
            products = run_products(module, batch, train=train)
    return Trace(module, layers, batch, weights, sampled, flows, tuple(saliency_kinds), products)


def _require_repetition(sampled: Sampled, flows: dict[Pass, Flow], run: Callable[[Pass], Flow], *, one: bool) -> None:
    """Refuse the flows of a net that gives another value when it is run again, unless they took one run of the net."""
    once = all(flow.method == "pairs" or which is Pass.LINEAR_FLOW_BATCHNORM for which, flow in flows.items())
    if not flows or (one and once):
        return
    first = next(iter(flows))
    with sampled.guard(first):
        again, value = run(first).value, flows[first].value
        if again != value and not math.isclose(again, value, rel_tol=1e-6) and not math.isnan(again + value):
            sampled.failures.update(dict.fromkeys(flows, UNREPEATABLE))


def _weights(module: nn.Module, layers: Sequence[Layer], *, train: bool) -> list[Tensor]:
    if all(isinstance(layer.module._parameters.get("weight"), Tensor) for layer in layers):
        return [layer.weight.detach() for layer in layers]
    with isolated(module, train=train):
        return [layer.weight.detach() for layer in layers]
