"""Cells of NAS-Bench-201: their encoding and the strings of NATS-Bench."""

import re
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from zcfast.spaces.cells import Cells

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")  # in the order of their codes
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
NONE, SKIP_CONNECT, CONV_1X1, CONV_3X3, AVG_POOL_3X3 = range(5)  # the codes


@dataclass(frozen=True, repr=False, eq=False)
class NasBench201Cells(Cells):
    """operations: int8 [N, 6], the codes into ``OPERATIONS`` of the edges 0->1, 0->2, 1->2, 0->3, 1->3, 2->3."""

    FORMAT: ClassVar = {"operations": (torch.int8, (6,))}

    operations: Tensor


def parse(architecture: str | list[str]) -> NasBench201Cells:
    """See ``NasBench201.parse``."""
    items = architecture if isinstance(architecture, list) else [architecture]
    return NasBench201Cells(torch.tensor([_encode(item) for item in items], dtype=torch.int8).reshape(-1, len(EDGES)))


def text(operations: list[int]) -> str:
    """The string of NATS-Bench."""
    a, b, c, d, e, f = (OPERATIONS[code] for code in operations)
    return f"|{a}~0|+|{b}~0|{c}~1|+|{d}~0|{e}~1|{f}~2|"


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
