"""NAS-Bench-201 (Dong and Yang 2020): 15,625 cells of 4 nodes with one of 5 operations on each of 6 edges."""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from zcfast.errors import check_kind, unknown
from zcfast.spaces.capabilities import ClosedForms, Decisions, Graph, Readers
from zcfast.spaces.cell_space import CellSpace
from zcfast.spaces.nasbench201 import cells as encodings
from zcfast.spaces.nasbench201.canonical import POWERS, class_by_index, enumeration, index_by_code
from zcfast.spaces.nasbench201.cells import EDGES, OPERATIONS, NasBench201Cells
from zcfast.spaces.nasbench201.network import NasBench201Network, Network, sizes
from zcfast.spaces.neighbours import Neighbours


class NasBench201(CellSpace[NasBench201Cells]):
    """All architectures in the benchmark's official index order."""

    name = "nasbench201"
    cells = NasBench201Cells
    title = "NAS-Bench-201"
    source = (
        "Dong and Yang, NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search, ICLR 2020; "
        "Dong et al., NATS-Bench, TPAMI 2021 (topology search space)"
    )
    classes = 6_466
    network = NasBench201Network()
    initialisation = "pytorch"
    elsewhere: ClassVar = {
        ClosedForms: "zcfast.spaces.nasbench201.closed_forms:CellForms",
        Decisions: "zcfast.spaces.nasbench201.decisions:CellDecisions",
        Graph: "zcfast.spaces.nasbench201.graph:CellGraphs",
        Readers: "zcfast.spaces.nasbench201.readers:Files",
    }

    def __len__(self) -> int:
        """15,625."""
        return 15_625

    def enumerate(self) -> NasBench201Cells:
        """All architectures; a row's number is the official index."""
        return enumeration()

    def index(self, cells: NasBench201Cells) -> Tensor:
        """The official index, int64 [N]; -1 where an operation code is out of range."""
        check_kind("cells", cells, NasBench201Cells)
        operations = cells.operations.cpu().to(torch.int64)
        valid = ((operations >= 0) & (operations < len(OPERATIONS))).all(1)
        codes = (operations * POWERS).sum(1)
        return torch.where(valid, index_by_code()[codes.where(valid, 0)], -1).to(cells.device)

    def reasons(self, cells: NasBench201Cells) -> list[str]:
        """Why each encoding is no architecture of the space; empty where it is one."""
        text = f"expected operation codes 0 to {len(OPERATIONS) - 1} on its edges"
        return ["" if index >= 0 else text for index in self.index(cells).tolist()]

    def isomorphism_class(self, cells: NasBench201Cells) -> Tensor:
        """The lowest official index of an isomorphic architecture, int64 [N]: 6,466 distinct ones.

        Isomorphic as the benchmark defines it (``unique_string``). Scores within a class can differ where a
        convolution with bias reads zeros.
        """
        return class_by_index()[self.require_index(cells).cpu()].to(cells.device)

    def canonical(self, cells: NasBench201Cells) -> NasBench201Cells:
        """The architecture with the lowest official index in each one's isomorphism class."""
        return enumeration()[self.isomorphism_class(cells).cpu()].to(cells.device)

    def neighbours(self, cells: NasBench201Cells, relation: str = "operations") -> Neighbours:
        """The 24 architectures with another operation on one edge; "operations" is the only relation."""
        if relation != "operations":
            raise unknown("relation", relation, ["operations"])
        self.require_index(cells)
        count, edges, choices = len(cells), len(EDGES), len(OPERATIONS)
        edited = cells.operations.to(torch.int64).repeat_interleave(edges * (choices - 1), 0)
        edge = torch.arange(edges).repeat_interleave(choices - 1).repeat(count).to(cells.device)
        change = torch.arange(1, choices).repeat(count * edges).to(cells.device)
        rows = torch.arange(len(edited), device=cells.device)
        edited[rows, edge] = (edited[rows, edge] + change) % choices
        ids = self.index(NasBench201Cells(edited.to(torch.int8))).reshape(count, edges * (choices - 1))
        return Neighbours(torch.arange(count + 1, device=cells.device) * ids.shape[1], ids.sort(1).values.flatten())

    def keys(self, cells: NasBench201Cells) -> Tensor:
        """The official index, int64 [N]."""
        return self.require_index(cells)

    def parse(self, architecture: str | list[str]) -> NasBench201Cells:
        """Architectures from the strings of NATS-Bench: "|op~0|+|op~0|op~1|+|op~0|op~1|op~2|"."""
        return encodings.parse(architecture)

    def format(self, cells: NasBench201Cells) -> list[str]:
        """The strings of NATS-Bench."""
        self.require_index(cells)
        return [encodings.text(row) for row in cells.operations.tolist()]

    def params(self, cells: NasBench201Cells, **network: Any) -> Tensor:
        """Trainable parameters, int64 [N]; equal to the released numbers of each data set."""
        self.require_index(cells)
        return sizes(cells.operations, self.network_with(network))[0]

    def flops(self, cells: NasBench201Cells, **network: Any) -> Tensor:
        """Multiply-adds of one image in convolutions and classifier, int64 [N]."""
        self.require_index(cells)
        return sizes(cells.operations, self.network_with(network))[1]

    def _cell_network(self, cell: NasBench201Cells, options: NasBench201Network, batch_norm: bool) -> nn.Module:
        return Network(cell.operations[0].tolist(), options, batch_norm)
