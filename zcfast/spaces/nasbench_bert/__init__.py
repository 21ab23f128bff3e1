"""NAS-Bench-BERT: the space and its networks."""

from zcfast.spaces.nasbench_bert.network import Discriminator, Encoder, Layer
from zcfast.spaces.nasbench_bert.space import NasBenchBert

__all__ = ["Discriminator", "Encoder", "Layer", "NasBenchBert"]
