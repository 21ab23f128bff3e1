"""Search spaces: what every one offers, what some do, and the names by which they are found."""

from zcfast.spaces.base import Example, SearchSpace
from zcfast.spaces.capabilities import (
    Capability,
    ClosedForm,
    ClosedForms,
    Column,
    Decisions,
    Enumerated,
    Graph,
    NeighbourGraph,
    Neighbourhood,
    Sizes,
)
from zcfast.spaces.cell_space import CellSpace
from zcfast.spaces.cells import Cells, Texts
from zcfast.spaces.nasbench101 import NasBench101, NasBench101Cells
from zcfast.spaces.nasbench201 import NasBench201, NasBench201Cells
from zcfast.spaces.registry import as_space, names, register, space

__all__ = [
    "Capability",
    "CellSpace",
    "Cells",
    "ClosedForm",
    "ClosedForms",
    "Column",
    "Decisions",
    "Enumerated",
    "Example",
    "Graph",
    "NasBench101",
    "NasBench101Cells",
    "NasBench201",
    "NasBench201Cells",
    "NeighbourGraph",
    "Neighbourhood",
    "SearchSpace",
    "Sizes",
    "Texts",
    "as_space",
    "names",
    "register",
    "space",
]
