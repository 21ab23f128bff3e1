"""Search spaces: what every one offers, what some do, and the names by which they are found."""

from zcfast.data.provenance import Meaning
from zcfast.spaces.base import Example, SearchSpace
from zcfast.spaces.capabilities import (
    ActivationMemory,
    Capability,
    ClosedForm,
    ClosedForms,
    Decisions,
    Drawing,
    Enumerated,
    Graph,
    LayerKinds,
    Mark,
    NeighbourGraph,
    Neighbourhood,
    Readers,
    Sizes,
)
from zcfast.spaces.cell_space import CellSpace
from zcfast.spaces.cells import Cells, Texts
from zcfast.spaces.names import released_names
from zcfast.spaces.neighbours import Neighbours
from zcfast.spaces.own import Space, of
from zcfast.spaces.registry import as_space, names, register, space

__all__ = [
    "ActivationMemory",
    "Capability",
    "CellSpace",
    "Cells",
    "ClosedForm",
    "ClosedForms",
    "Decisions",
    "Drawing",
    "Enumerated",
    "Example",
    "Graph",
    "LayerKinds",
    "Mark",
    "Meaning",
    "NeighbourGraph",
    "Neighbourhood",
    "Neighbours",
    "Readers",
    "SearchSpace",
    "Sizes",
    "Space",
    "Texts",
    "as_space",
    "names",
    "of",
    "register",
    "released_names",
    "space",
]
