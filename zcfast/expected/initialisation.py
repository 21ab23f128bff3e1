"""Mean absolute weights of the initialisations that the closed forms know."""

import math
from dataclasses import dataclass

from zcfast.errors import unknown

_NORMAL = math.sqrt(2 / math.pi)  # E|x| of a standard normal


@dataclass(frozen=True)
class Initialisation:
    """Sizes of random weights.

    A convolution has E|w| = scale / sqrt(fan), fan = kernel area x (output channels if fan_out, else input channels),
    and, where it has a bias, E|b| = bias_scale / sqrt(kernel area x input channels). The classifier has E|w| =
    linear_mean, or scale / sqrt(inputs) where that is 0.
    """

    scale: float
    fan_out: bool
    linear_mean: float = 0.0
    bias_scale: float = 0.0


INITIALISATIONS = {
    # torch.nn.init.kaiming_normal_(mode="fan_out", nonlinearity="relu"), Linear N(0, 0.01), no biases: what the
    # zero-cost proxies of NAS-Bench-101 were published with.
    "kaiming_fan_out": Initialisation(_NORMAL * math.sqrt(2), True, linear_mean=0.01 * _NORMAL),
    # The same with the fan of the inputs, for the classifier too.
    "kaiming_fan_in": Initialisation(_NORMAL * math.sqrt(2), False),
    # What nn.Conv2d and nn.Linear draw by default: uniform within 1 / sqrt(fan in), weights and biases.
    "pytorch": Initialisation(0.5, False, bias_scale=0.5),
}


def initialisation(name: str) -> Initialisation:
    """The initialisation called ``name``; a ValueError lists what there is."""
    if name not in INITIALISATIONS:
        raise unknown("initialisation", str(name), INITIALISATIONS)
    return INITIALISATIONS[name]
