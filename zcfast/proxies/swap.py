"""How many patterns over the samples the activations show, one by one."""

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from zcfast.passes.base import Pass, Results
from zcfast.passes.repeated import Init, with_options
from zcfast.passes.sign_patterns import DrawnSignPatterns, SignPatterns, WholeSignPatterns
from zcfast.passes.weights import Weights
from zcfast.proxies.base import Proxy, register
from zcfast.proxies.repeated import RepeatedProxy


@register
@dataclass(frozen=True)
class Swap(RepeatedProxy):
    """Number of different patterns of places of maps [N, C, H, W]: which samples are above zero.

    Attributes:
        init: "official" draws standard-normal weights, with biases 0 and norms at their start; "as_is" takes the net's.
        repeats: draws; the published code makes 32. Without meaning as it is.
    """

    name = "swap"
    definition = "Number of different patterns of places of maps [N, C, H, W]: which samples are above zero."
    source = "Peng et al. 2024 (SWAP-NAS: sample-wise activation patterns for ultra-fast NAS)"

    repeats: int = 4
    init: Init = "official"

    @property
    def needs(self) -> tuple[type[Pass], ...]:
        """The shared forward pass, or some with drawn weights."""
        return (SignPatterns if self.init == "as_is" else with_options(DrawnSignPatterns, repeats=self.repeats),)

    def rounds(self, results: Results) -> Tensor:
        """The number of each draw."""
        found = results[self.needs[0]]
        return torch.tensor([found] if self.init == "as_is" else found, dtype=torch.float64)


@dataclass(frozen=True)
class RegSwap(Swap):
    """`swap` times exp(-(P - mu)^2 / sigma), P the parameters in thousands: a target for the size.

    It has no name in the registry, as there is no target for all nets.

    Attributes:
        mu: the target, in thousands of parameters.
        sigma: its width, in their squares.
        init, repeats: as of `swap`.
    """

    name = "reg_swap"
    definition = "`swap` times exp(-(P - mu)^2 / sigma), P the parameters in thousands: a target for the size."

    mu: float = field(kw_only=True)
    sigma: float = field(kw_only=True)

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        if not self.sigma > 0:
            raise ValueError(f"sigma: expected a number above 0, got {self.sigma}")

    @property
    def needs(self) -> tuple[type[Pass], ...]:
        """Those of `swap`, and the size."""
        return (*super().needs, Weights)

    def rounds(self, results: Results) -> Tensor:
        """The share of each draw."""
        distance = results[Weights].trainable / 1000 - self.mu
        return super().rounds(results) * math.exp(-(distance**2) / self.sigma)


@register
class SwapUniversal(Proxy):
    """Number of different patterns of signs -1, 0 and 1 over the samples, of activations of any rank.

    The weights are taken as they are. For transformers and other nets whose activations put out no maps.
    """

    name = "swap_universal"
    definition = "Number of different patterns of signs -1, 0 and 1 over the samples, of activations of any rank."
    source = "Peng et al. 2026 (SWAP universal), published code"
    needs = (WholeSignPatterns,)
    sums_layers = False

    def value(self, results: Results) -> float:
        """The number."""
        return float(results[WholeSignPatterns])
