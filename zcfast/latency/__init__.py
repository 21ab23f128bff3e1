"""How long networks take: measured here, and learnt from few measurements for a whole search space."""

from zcfast.latency.measurement import Measured, TooNoisyError, measure
from zcfast.latency.model import LatencyModel, fit

__all__ = ["LatencyModel", "Measured", "TooNoisyError", "fit", "measure"]
