"""NAS-Bench-101: the space, its cells and the options of its network."""

from zcfast.spaces.nasbench101.cells import NasBench101Cells
from zcfast.spaces.nasbench101.network import NasBench101Network
from zcfast.spaces.nasbench101.space import NasBench101

__all__ = ["NasBench101", "NasBench101Cells", "NasBench101Network"]
