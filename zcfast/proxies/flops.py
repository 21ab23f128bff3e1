"""The work of a forward pass."""

import torch
from torch import Tensor

from zcfast.passes.base import Results
from zcfast.passes.forward import Forward, SharedForward
from zcfast.proxies.base import Proxy, register


@register
class Flops(Proxy):
    """Multiply-adds of the counted layers for one sample, as published; not all that runs."""

    name = "flops"
    definition = "Multiply-adds of the counted layers for one sample, as published; not all that runs."
    source = "Abdelfattah et al. 2021, section 4"
    needs = (Forward,)

    def layerwise(self, results: Results) -> Tensor:
        """Weights times output positions of each layer; 0 of a layer whose module is not called."""
        forward: SharedForward = results[Forward]
        positions = torch.tensor(forward.positions, dtype=torch.float64)
        weights = torch.tensor([weight.numel() for weight in forward.weights], dtype=torch.float64)
        return weights * positions / forward.batch.samples
