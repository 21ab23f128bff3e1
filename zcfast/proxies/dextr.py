"""How much of what comes in a net keeps apart, and how sharply it turns what moves."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from zcfast.passes.base import Pass, Results
from zcfast.passes.channel_correlations import Calls, check_calls
from zcfast.passes.curve import Curve, CurveOfNet
from zcfast.passes.failures import ProxyError
from zcfast.passes.repeated import with_options
from zcfast.proxies.base import register
from zcfast.proxies.repeated import RepeatedProxy


@register
@dataclass(frozen=True)
class Dextr(RepeatedProxy):
    """a b / (a + b), a = ln(1 + sum of maps' least by largest singular values), b = ln(1 + a circle's curvature).

    A map is what a module puts out for one image alone, channels by places; vectors count 1. The curvature is that of
    ten drawn logits along a circle of inputs. No labels are needed.

    Attributes:
        repeats: images, the first of the minibatch, and circles; the published code takes one.
        calls: "leaf" counts the outputs of modules without children; "all" those of every module, as the published code
            does, so that one map counts again for each module around the one that made it.
    """

    name = "dextr"
    definition = (
        "a b / (a + b), a = ln(1 + sum of maps' least by largest singular values), b = ln(1 + a circle's curvature)."
    )
    source = "Asthana et al. 2025 (Dextr: zero-shot NAS with singular value decomposition and extrinsic curvature)"

    repeats: int = 1
    calls: Calls = "leaf"

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        check_calls(self.calls)

    @property
    def needs(self) -> tuple[type[Pass], ...]:
        """Passes of single images."""
        return (with_options(Curve, repeats=self.repeats, calls=self.calls),)

    def rounds(self, results: Results) -> Tensor:
        """The score of each image and circle."""
        return torch.tensor([_score(each) for each in results[self.needs[0]]], dtype=torch.float64)


def _score(curve: CurveOfNet) -> float:
    a, b = math.log1p(curve.spread), math.log1p(curve.curvature)
    if not math.isfinite(b):
        raise ProxyError("undefined", "the curvature is not finite")
    return a * b / (a + b) if a + b else 0.0
