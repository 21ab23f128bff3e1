"""How unevenly a net would learn in its directions."""

import torch
from torch import Tensor

from zcfast.passes.base import Results
from zcfast.passes.failures import ProxyError
from zcfast.passes.tangent_kernel import TangentKernel
from zcfast.passes.weights import Weights
from zcfast.proxies.base import Proxy, register

_ROUNDING = 8  # times a float's eps: what rounding may add to a gradient, of its own size


@register
class NtkCond(Proxy):
    """-(largest / smallest eigenvalue) of the neural tangent kernel of the minibatch.

    K_nm is the product of the gradients of the sums of logits of samples n and m by all weights of the net, norms'
    weights among them. Higher, nearer to -1, is better; no labels are needed.
    """

    name = "ntk_cond"
    definition = "-(largest / smallest eigenvalue) of the neural tangent kernel of the minibatch."
    source = "Chen et al. 2021 (TE-NAS)"
    needs = (TangentKernel, Weights)
    sums_layers = False

    def value(self, results: Results) -> float:
        """The score of the minibatch; -inf of a singular kernel, as where two samples are equal."""
        kernel: Tensor = results[TangentKernel]
        if len(kernel) < 2:
            raise ProxyError("undefined", "a kernel of two samples or more is needed, got one")
        if kernel.isfinite().all() and not kernel.any():
            raise ProxyError("undefined", "no logit depends on a weight")
        values = torch.linalg.eigvalsh(kernel) if kernel.isfinite().all() else kernel.new_full((2,), torch.nan)
        eps = max((torch.finfo(each.dtype).eps for each in results[Weights].weights), default=0.0)
        least = max(len(values) * torch.finfo(values.dtype).eps, (_ROUNDING * eps) ** 2)  # products of gradients
        if values[0] <= least * values[-1]:
            return -torch.inf
        return float(-values[-1] / values[0])
