"""How far the samples agree on the sign of the gradient."""

import torch
from torch import Tensor

from zcfast.passes.base import Results
from zcfast.passes.gradient_signs import GradientSigns
from zcfast.proxies.base import Proxy, register


@register
class GradSign(Proxy):
    """Sum over weights of |sum_n sign(g_n)|, g_n the gradient of the loss on sample n alone.

    The sum of the scripts that made the published numbers; the mean that another of their codes takes says next to
    nothing. Higher is better; the labels are needed.
    """

    name = "gradsign"
    definition = "Sum over weights of |sum_n sign(g_n)|, g_n the gradient of the loss on sample n alone."
    source = "Zhang and Jia 2022 (GradSign)"
    needs = (GradientSigns,)

    def layerwise(self, results: Results) -> Tensor:
        """The share of each layer."""
        return torch.stack([signs.abs().sum() for signs in results[GradientSigns]]).double()
