"""NAS-Bench-201 (Dong and Yang 2020): 15,625 cells of 4 nodes with one of 5 operations on each of 6 edges."""

import random
import re
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from zcfast.errors import check_kind, unknown
from zcfast.networks.nasbench201 import NasBench201Network, Network, sizes
from zcfast.spaces.cell_space import CellSpace
from zcfast.spaces.cells import Cells
from zcfast.spaces.neighbours import Neighbours

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")  # in the order of their codes
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
_POWERS = torch.tensor([5**k for k in range(len(EDGES) - 1, -1, -1)])


@dataclass(frozen=True, repr=False, eq=False)
class NasBench201Cells(Cells):
    """operations: int8 [N, 6], the codes into ``OPERATIONS`` of the edges 0->1, 0->2, 1->2, 0->3, 1->3, 2->3."""

    FORMAT: ClassVar = {"operations": (torch.int8, (6,))}

    operations: Tensor


@cache
def _official_order() -> list[int]:
    # The benchmark shuffled the lexicographic list with this seed (AutoDL-Projects, generate_meta_info) and files its
    # results under the positions in it.
    codes = list(range(len(OPERATIONS) ** len(EDGES)))
    random.Random(88).shuffle(codes)
    return codes


@cache
def _enumeration() -> NasBench201Cells:
    codes = torch.tensor(_official_order())
    return NasBench201Cells((codes[:, None] // _POWERS % len(OPERATIONS)).to(torch.int8))


@cache
def _index_by_code() -> Tensor:
    index = torch.empty(len(OPERATIONS) ** len(EDGES), dtype=torch.int64)
    index[torch.tensor(_official_order())] = torch.arange(len(index))
    return index


def unique_string(operations: list[int]) -> str:
    """Equal for isomorphic cells: the benchmark's ``to_unique_str(consider_zero=True)``.

    Skip connections are contracted and operations on a node of a single zero are zero ("#"). A node that sums several
    zeros stays apart, so some classes compute the same function: 5,390 would be left.
    """
    nodes = ["0"]
    for node in range(1, 4):
        inputs = []
        for (source, target), code in zip(EDGES, operations, strict=True):
            if target != node:
                continue
            if OPERATIONS[code] == "none" or nodes[source] == "#":
                inputs.append("#")
            elif OPERATIONS[code] == "skip_connect":
                inputs.append(nodes[source])
            else:
                inputs.append(f"({nodes[source]})@{OPERATIONS[code]}")
        nodes.append("+".join(sorted(inputs)))
    return nodes[-1]


@cache
def _class_by_index() -> Tensor:
    first: dict[str, int] = {}
    rows = enumerate(_enumeration().operations.tolist())
    return torch.tensor([first.setdefault(unique_string(operations), i) for i, operations in rows])


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

    def __len__(self) -> int:
        """15,625."""
        return 15_625

    def enumerate(self) -> NasBench201Cells:
        """All architectures; a row's number is the official index."""
        return _enumeration()

    def index(self, cells: NasBench201Cells) -> Tensor:
        """The official index, int64 [N]; -1 where an operation code is out of range."""
        check_kind("cells", cells, NasBench201Cells)
        operations = cells.operations.cpu().to(torch.int64)
        valid = ((operations >= 0) & (operations < len(OPERATIONS))).all(1)
        codes = (operations * _POWERS).sum(1)
        return torch.where(valid, _index_by_code()[codes.where(valid, 0)], -1).to(cells.device)

    def reasons(self, cells: NasBench201Cells) -> list[str]:
        """Why each encoding is no architecture of the space; empty where it is one."""
        text = f"expected operation codes 0 to {len(OPERATIONS) - 1} on its edges"
        return ["" if index >= 0 else text for index in self.index(cells).tolist()]

    def isomorphism_class(self, cells: NasBench201Cells) -> Tensor:
        """The lowest official index of an isomorphic architecture, int64 [N]: 6,466 distinct ones.

        Isomorphic as the benchmark defines it (``unique_string``). Scores within a class can differ where a
        convolution with bias reads zeros.
        """
        return _class_by_index()[self.require_index(cells).cpu()].to(cells.device)

    def canonical(self, cells: NasBench201Cells) -> NasBench201Cells:
        """The architecture with the lowest official index in each one's isomorphism class."""
        return _enumeration()[self.isomorphism_class(cells).cpu()].to(cells.device)

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
        items = architecture if isinstance(architecture, list) else [architecture]
        return NasBench201Cells(torch.tensor([_encode(item) for item in items], dtype=torch.int8).reshape(-1, 6))

    def format(self, cells: NasBench201Cells) -> list[str]:
        """The strings of NATS-Bench."""
        self.require_index(cells)
        result = []
        for row in cells.operations.tolist():
            a, b, c, d, e, f = (OPERATIONS[code] for code in row)
            result.append(f"|{a}~0|+|{b}~0|{c}~1|+|{d}~0|{e}~1|{f}~2|")
        return result

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


def _encode(text: Any) -> list[int]:
    if not isinstance(text, str):
        raise ValueError(f"architecture: expected a string, got {type(text).__name__}")
    edge = r"([a-z0-9_]+)~{}"
    nodes = (r"\|" + r"\|".join(edge.format(source) for source in range(node)) + r"\|" for node in (1, 2, 3))
    match = re.fullmatch(r"\+".join(nodes), text.strip())
    if match is None:
        raise ValueError(f"architecture: expected '|op~0|+|op~0|op~1|+|op~0|op~1|op~2|', got {text!r}")
    for name in match.groups():
        if name not in OPERATIONS:
            raise ValueError(f"architecture: expected operations {', '.join(OPERATIONS)}, got {name!r} in {text!r}")
    return [OPERATIONS.index(name) for name in match.groups()]
