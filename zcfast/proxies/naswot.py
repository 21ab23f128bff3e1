"""How differently the samples switch the ReLUs of a net."""

import torch
from torch import Tensor

from zcfast.passes.base import Results
from zcfast.passes.relu_patterns import ReluPatterns
from zcfast.proxies.base import Proxy, register


@register
class Naswot(Proxy):
    """log |det K|, K_nm the number of ReLUs that samples n and m both switch on, or both off.

    All activations that switch at zero count, modules and functions, each time that one runs. The published code counts
    every module whose type has ReLU in its name, so wrappers too.
    """

    name = "naswot"
    definition = "log |det K|, K_nm the number of ReLUs that samples n and m both switch on, or both off."
    source = "Mellor et al. 2021 (Neural architecture search without training)"
    needs = (ReluPatterns,)
    sums_layers = False

    def value(self, results: Results) -> float:
        """The score of the minibatch; -inf of a singular K, as where two samples switch all ReLUs alike."""
        kernel: Tensor = results[ReluPatterns]
        values = torch.linalg.eigvalsh(kernel)
        if values[0] <= len(values) * torch.finfo(values.dtype).eps * values[-1]:
            return -torch.inf
        return float(values.log().sum())
