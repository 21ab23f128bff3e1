"""The neural tangent kernel of the minibatch."""

import torch
from torch import Tensor

from zcfast.passes.base import Pass, Results
from zcfast.passes.batch import Batch
from zcfast.passes.failures import ProxyError
from zcfast.passes.forward import Forward, SharedForward, differentiate
from zcfast.passes.net import Net
from zcfast.passes.observation import Observation
from zcfast.passes.references import check_references
from zcfast.passes.sum_of_logits import check_sum_of_logits


class TangentKernel(Pass):
    """[N, N] float64: products of the samples' gradients, each of the sum of a sample's logits by all weights.

    Weights are the parameters whose name in their module has "weight" in it, norms' among them. One graph serves all
    samples, so BatchNorm in training mode lets each act on the others. A backward pass a sample; in memory, as many
    numbers a sample as the net has weights.
    """

    requires = (Forward,)
    reads = "inputs"
    cost = 42.0

    def observe(self, forward: Observation) -> None:
        """The forward pass needs a graph."""
        forward.need_gradients()

    def run(self, net: Net, batch: Batch, done: Results) -> Tensor:
        """Differentiate the logits of one sample after the other."""
        forward: SharedForward = done[Forward]
        forward.recording.check_gradients()
        if forward.changed is not None:
            raise forward.changed.as_error()
        logits, samples = forward.logits, batch.samples
        if logits.dim() == 0 or len(logits) != samples:
            raise ProxyError("undefined", f"logits of {samples} samples are needed, got shape {tuple(logits.shape)}")
        known = [*forward.installed, *forward.points]
        check_references(net.module, net.slots.parameters, known, logits)
        net.slots.check_hooks(slot for slot in net.slots.all if "weight" in slot.name)
        places: dict[int, list[Tensor]] = {}
        for slot, copy in zip(net.slots.all, forward.installed, strict=True):
            if "weight" in slot.name:
                places.setdefault(id(slot.parameter), []).append(copy)
        groups = list(places.values())
        jacobian = torch.stack([_gradient(each.sum(), groups) for each in logits]).double()
        weights = torch.cat([group[0].detach().abs().flatten() for group in groups]) if groups else jacobian[0]
        check_sum_of_logits(
            logits,
            (jacobian.abs() @ weights.double()).sum().item(),
            jacobian.norm().item(),
            lambda value: forward.differentiate(value, [copy for group in groups for copy in group]),
        )
        return jacobian @ jacobian.T


def _gradient(value: Tensor, groups: list[list[Tensor]]) -> Tensor:
    """All gradients in a row, of tied weights their sum."""
    found = iter(differentiate(value, [copy for group in groups for copy in group], retain_graph=True))
    sums = [torch.stack([next(found) for _ in group]).sum(0) if len(group) > 1 else next(found) for group in groups]
    return torch.cat([each.flatten() for each in sums]) if sums else value.new_zeros(0)
