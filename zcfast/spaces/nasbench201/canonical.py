"""The official order of NAS-Bench-201's architectures, and their isomorphism classes."""

import random
from functools import cache

import torch
from torch import Tensor

from zcfast.spaces.nasbench201.cells import EDGES, OPERATIONS, NasBench201Cells

POWERS = torch.tensor([len(OPERATIONS) ** k for k in range(len(EDGES) - 1, -1, -1)])


@cache
def _official_order() -> list[int]:
    # The benchmark shuffled the lexicographic list with this seed (AutoDL-Projects, generate_meta_info) and files its
    # results under the positions in it.
    codes = list(range(len(OPERATIONS) ** len(EDGES)))
    random.Random(88).shuffle(codes)
    return codes


@cache
def enumeration() -> NasBench201Cells:
    """All architectures."""
    codes = torch.tensor(_official_order())
    return NasBench201Cells((codes[:, None] // POWERS % len(OPERATIONS)).to(torch.int8))


@cache
def index_by_code() -> Tensor:
    """The official index of each code, the operations as digits of base 5."""
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
def class_by_index() -> Tensor:
    """The lowest index of an isomorphic architecture, int64 [15625]."""
    first: dict[str, int] = {}
    rows = enumerate(enumeration().operations.tolist())
    return torch.tensor([first.setdefault(unique_string(operations), i) for i, operations in rows])
