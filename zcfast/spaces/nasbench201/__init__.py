"""NAS-Bench-201: the space, its cells and the options of its network."""

from zcfast.spaces.nasbench201.cells import NasBench201Cells
from zcfast.spaces.nasbench201.network import NasBench201Network
from zcfast.spaces.nasbench201.space import NasBench201

__all__ = ["NasBench201", "NasBench201Cells", "NasBench201Network"]
