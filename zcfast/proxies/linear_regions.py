"""In how many linear regions the samples lie."""

import torch
from torch import Tensor

from zcfast.passes.base import Results
from zcfast.passes.failures import ProxyError
from zcfast.passes.relu_patterns import ReluPatterns
from zcfast.proxies.base import Proxy, register


@register
class LinearRegions(Proxy):
    """How many samples differ in some activation's sign.

    With normal nets and pictures it is the number of samples, the same for all nets, and so says nothing; the published
    code takes thousands of inputs of a few pixels and a net of one channel. There, outputs of 4 dimensions count alone.
    """

    name = "linear_regions"
    definition = "How many samples differ in some activation's sign."
    source = "Chen et al. 2021 (Neural Architecture Search on ImageNet in Four GPU Hours)"
    needs = (ReluPatterns,)
    sums_layers = False

    def value(self, results: Results) -> float:
        """Samples without an earlier one that agrees on all outputs."""
        agreements: Tensor = results[ReluPatterns]
        if len(agreements) < 2:
            raise ProxyError("undefined", "one sample lies in one region")
        equal = agreements == agreements[0, 0]
        return float(len(agreements) - torch.tril(equal, -1).any(1).sum())
