"""The work of a forward pass."""

import torch
from torch import Tensor

from zcfast.proxies.base import Proxy, register
from zcfast.tracing.passes import Pass
from zcfast.tracing.trace import Trace


@register
class Flops(Proxy):
    """Multiply-adds of the counted layers for one sample, as published; `multiply_adds` counts all that runs."""

    name = "flops"
    definition = (
        "Multiply-adds of the counted layers for one sample; biases, norms, pools and attention products not included."
    )
    source = "Abdelfattah et al. 2021, section 4"
    needs = Pass.FORWARD

    def layerwise(self, trace: Trace) -> Tensor:
        """Weights times output positions of each layer; 0 of a layer whose module is not called."""
        positions = torch.tensor(trace.sampled.positions, dtype=torch.float64)
        weights = torch.tensor([weight.numel() for weight in trace.weights], dtype=torch.float64)
        return weights * positions / len(trace.batch.inputs)
