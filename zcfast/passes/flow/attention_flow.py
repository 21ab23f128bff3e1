"""The pass of dss: synflow's, with the nuclear norms of what projects for attention."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from zcfast.ops import saliency_reduce
from zcfast.passes.attention_layers import input_projections, project_for_attention
from zcfast.passes.base import Results
from zcfast.passes.batch import Batch
from zcfast.passes.failures import ProxyError
from zcfast.passes.flow.linear_flow import Flow, LinearFlow
from zcfast.passes.layers import Layer
from zcfast.passes.net import Net


class AttentionFlow(LinearFlow):
    """R as in synflow: of what projects for attention ||dR/dW||_nuc ||W||_nuc, of other linear layers sum |W dR/dW|.

    The parameters by which nn.MultiheadAttention projects its inputs are a layer too. Convolutions count nothing.
    """

    reads = "inputs"
    cost = 10.0
    by_pairs = False

    def __init__(self) -> None:
        """Begin without layers."""
        self._layers: Sequence[Layer] = []
        self._attend: Sequence[bool] = []

    def layers(self, net: Net) -> Sequence[Layer]:
        """The linear ones, and the projections of attention."""
        return self._layers

    def run(self, net: Net, batch: Batch, done: Results) -> Flow:
        """Find the layers, and compute the flow."""
        linear = [layer for layer in net.layers if isinstance(layer.module, nn.Linear)]
        self._layers = [*linear, *input_projections(net)]
        self._attend = project_for_attention(net, batch, self._layers)
        return super().run(net, batch, done)

    def shares(self, weights: Sequence[Tensor], gradients: Sequence[Tensor]) -> Tensor:
        """[L] of the layers found."""
        shares = saliency_reduce(weights, gradients, ["abs_product"])[0]
        for place, attends in enumerate(self._attend):
            if attends:
                factors = (weights[place], gradients[place])
                if not all(bool(each.isfinite().all()) for each in factors):
                    raise ProxyError("undefined", "a derivative exceeds float64")
                norms = [torch.linalg.matrix_norm(each, "nuc") for each in factors]
                shares[place] = norms[0] * norms[1]
        return shares
