"""How differently the samples drive the activations of a net, and their losses pull at them."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from zcfast.passes.activation_blocks import ActivationBlocks
from zcfast.passes.activation_correlations import ActivationCorrelations, Correlations
from zcfast.passes.base import Pass, Results
from zcfast.passes.failures import ProxyError
from zcfast.proxies.base import Proxy, register

Of = Literal["both", "activations", "gradients"]


@register
@dataclass(frozen=True)
class WrCor(Proxy):
    """log |det K|, K_nm the sum over activations of |correlations| of samples n and m in input and gradient.

    The input of an activation, and the derivative of the loss by it, are flattened for each sample; an activation in
    place shows its output as its input, as in the published code. Where a sample is constant over the places it
    correlates with nothing, and that activation's input or gradient is left out. The labels are needed.

    Attributes:
        of: "both", or what enters the "activations" alone, or the "gradients" alone.
    """

    name = "wrcor"
    definition = (
        "log |det K|, K_nm the sum over activations of |correlations| of samples n and m in input and gradient."
    )
    source = "Yang et al. 2024 (WRCor), published code"
    sums_layers = False

    of: Of = "both"

    def __post_init__(self) -> None:
        """Check the option."""
        if self.of not in get_args(Of):
            raise ValueError(f"of: expected {' or '.join(map(repr, get_args(Of)))}, got {self.of!r}")

    @property
    def needs(self) -> tuple[type[Pass], ...]:
        """What happens at the activations."""
        return (ActivationCorrelations,)

    def value(self, results: Results) -> float:
        """The score of the minibatch; -inf of a singular K, as where two samples are equal."""
        found: Correlations = results[ActivationCorrelations]
        weights = self.weights(results, len(found.inputs))
        shown = [] if self.of == "gradients" else list(zip(found.inputs, weights, strict=True))
        shown += [] if self.of == "activations" else list(zip(found.gradients, weights, strict=True))
        kept = [(matrix, weight) for matrix, weight in shown if matrix is not None]
        if not kept:
            raise ProxyError("undefined", "at each activation some sample is constant, so it correlates with no other")
        last = max(weight for _, weight in kept)
        kernel: Tensor = sum(matrix * math.ldexp(1.0, weight - last) for matrix, weight in kept)  # type: ignore[assignment]
        values = torch.linalg.eigvalsh(kernel).abs()
        if values.min() <= len(values) * torch.finfo(values.dtype).eps * values.max():
            return -math.inf
        return float(values.log().sum()) + len(values) * last * math.log(2)

    def weights(self, results: Results, calls: int) -> list[int]:
        """The exponent of 2 by which each activation counts."""
        return [0] * calls


@register
@dataclass(frozen=True)
class WeightedWrCor(WrCor):
    """`wrcor` with activations of the i-th block counting 2^i times.

    The score that the paper's name stands for. With many blocks the last ones decide alone.

    Attributes:
        of: as of `wrcor`.
    """

    name = "wrcor_weighted"
    definition = "`wrcor` with activations of the i-th block counting 2^i times."

    @property
    def needs(self) -> tuple[type[Pass], ...]:
        """Those of `wrcor`, and the blocks."""
        return (ActivationCorrelations, ActivationBlocks)

    def weights(self, results: Results, calls: int) -> list[int]:
        """The numbers of the blocks."""
        numbers: list[int] = results[ActivationBlocks]
        if len(numbers) != calls:
            raise ProxyError("undefined", f"two samples run through {len(numbers)} activations, all through {calls}")
        return numbers
