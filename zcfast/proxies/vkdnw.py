"""How many parameters a net has, and how evenly its outputs answer to them."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from zcfast.passes.base import Pass, Results
from zcfast.passes.failures import ProxyError
from zcfast.passes.fisher_spectrum import FisherSpectrum
from zcfast.passes.repeated import Init, with_options
from zcfast.passes.weights import Weights
from zcfast.proxies.base import Proxy, register
from zcfast.proxies.repeated import RepeatedProxy

_SOURCE = "Tybl and Neumann 2025 (VKDNW: variance of knowledge of deep network weights)"
_QUANTILES = 9
_EPSILON = 1e-10


@register
class VkdnwDim(Proxy):
    """Number of parameter tensors of the whole net, tied ones once, frozen ones too."""

    name = "vkdnw_dim"
    definition = "Number of parameter tensors of the whole net, tied ones once, frozen ones too."
    source = _SOURCE
    needs = (Weights,)
    sums_layers = False

    def value(self, results: Results) -> float:
        """The count."""
        return float(results[Weights].tensors)


@register
@dataclass(frozen=True)
class VkdnwEntropy(RepeatedProxy):
    """Entropy of the 0.1 to 0.9 quantiles, by their sum, of the singular values of the Fisher matrix.

    The matrix is that of the published code, by the first number of each of the first 128 parameters, at the logits'
    smoothed probabilities (`FisherSpectrum`). At most ln 9. The net is in evaluation mode.

    Attributes:
        repeats: draws of weights; the published code makes one.
        init: "official" draws weights by Kaiming's rule (fan in); "as_is" takes those that are there.
    """

    name = "vkdnw_entropy"
    definition = "Entropy of the 0.1 to 0.9 quantiles, by their sum, of the singular values of the Fisher matrix."
    source = _SOURCE

    repeats: int = 1
    init: Init = "official"

    @property
    def needs(self) -> tuple[type[Pass], ...]:
        """The pass of the matrix."""
        return (with_options(FisherSpectrum, repeats=self.repeats, init=self.init),)

    def rounds(self, results: Results) -> Tensor:
        """The entropy of each draw."""
        found = results[self.needs[0]]
        return torch.tensor([_entropy(values) for values in found], dtype=torch.float64)


@register
@dataclass(frozen=True)
class Vkdnw(VkdnwEntropy):
    """`vkdnw_dim` + `vkdnw_entropy` / 3: ranks by the number of parameter tensors, ties by the entropy.

    Attributes:
        repeats, init: as of `vkdnw_entropy`.
    """

    name = "vkdnw"
    definition = "`vkdnw_dim` + `vkdnw_entropy` / 3: ranks by the number of parameter tensors, ties by the entropy."

    @property
    def needs(self) -> tuple[type[Pass], ...]:
        """Those of both."""
        return (*super().needs, Weights)

    def rounds(self, results: Results) -> Tensor:
        """The sum of each draw; an entropy is below 3."""
        dimension: int = results[Weights].tensors
        return dimension + super().rounds(results) / 3


def _entropy(values: Tensor) -> float:
    """Of the quantiles of singular values."""
    quantiles = torch.quantile(values.cpu(), torch.arange(1, _QUANTILES + 1, dtype=values.dtype) / 10)
    total = quantiles.sum()
    if not bool(total > 0):
        raise ProxyError("undefined", "nine in ten of the parameters move no logit")
    shares = quantiles / total
    return -math.fsum((shares * (shares + _EPSILON).log()).tolist())
