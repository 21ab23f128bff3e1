"""How much removing single channels of a layer's output changes the loss, to second order."""

from dataclasses import dataclass

import torch
from torch import Tensor

from zcfast.ops import fisher_reduce
from zcfast.passes.activations import Activations
from zcfast.passes.base import Results
from zcfast.passes.failures import ProxyError
from zcfast.proxies.base import Proxy, register


@register
@dataclass(frozen=True)
class Fisher(Proxy):
    """Sum over layers and channels k of 1/2 mean_n (sum_space a_nk * dLoss/da_nk)^2, a the output of the layer.

    Attributes:
        weighting: "weights" counts each channel once for each weight that makes it, as the published code does;
            "channel" counts it once.
        aggregation: "spatial" squares the sum over space, as the published code does; "elementwise" squares each
            term, as the paper's formula reads.
    """

    name = "fisher"
    definition = (
        "Sum over layers and channels k of 1/2 mean_n (sum_space a_nk * dLoss/da_nk)^2, a the output of the layer."
    )
    source = "Theis et al. 2018; Turner et al. 2020 (BlockSwap); Abdelfattah et al. 2021, section 3.2"
    needs = (Activations,)

    weighting: str = "weights"
    aggregation: str = "spatial"

    def __post_init__(self) -> None:
        """Check the options."""
        if self.weighting not in ("weights", "channel"):
            raise ValueError(f"weighting: expected 'weights' or 'channel', got {self.weighting!r}")
        if self.aggregation not in ("spatial", "elementwise"):
            raise ValueError(f"aggregation: expected 'spatial' or 'elementwise', got {self.aggregation!r}")

    def layerwise(self, results: Results) -> Tensor:
        """The saliency of each layer; one that ran several times adds its calls."""
        activations = results[Activations]
        sums = []
        for layer, calls in zip(activations.layers, activations.calls, strict=True):
            total = torch.zeros((), dtype=torch.float64, device=layer.weight.device)
            for activation, gradient in calls:
                if len(activation) == 0:  # a call on no samples, whose mean would be that of nothing
                    continue
                channel_dim = layer.channel_dim(activation)
                if channel_dim == 0:
                    raise ProxyError(
                        "undefined", f"layer {layer.name!r} is called on single samples, not on minibatches"
                    )
                channels = fisher_reduce(activation, gradient, channel_dim, self.aggregation == "elementwise")
                total = total + channels.sum() * (layer.weight.shape[1:].numel() if self.weighting == "weights" else 1)
            sums.append(total)
        return torch.stack(sums)
