"""Typed wrappers and fake kernels of the operators of NAS-Bench-101; csrc/library.cpp has their schemas."""

from collections.abc import Sequence

import torch
from torch import Tensor

from zcfast import _native as _native

_ops = torch.ops.zcfast


def nasbench101_index(
    vertices: Tensor, edges: Tensor, operations: Tensor, tables: Sequence[Tensor]
) -> tuple[Tensor, Tensor]:
    """Index in enumeration order (-1 where invalid, int64 [N]) and validity code (int8 [N]) of a batch of cells.

    ``tables`` are lookup, orders, class_first, class_orbits and orbits of ``zcfast._tables.nasbench101()``.
    """
    index, validity = _ops.nasbench101_index(vertices, edges, operations, *tables)
    return index, validity


def nasbench101_neighbours(
    vertices: Tensor, edges: Tensor, operations: Tensor, tables: Sequence[Tensor], relation: int
) -> tuple[Tensor, Tensor]:
    """Indices of the cells one edit away, int32 [N, 31] from the left, then -1, and how many there are, int64 [N].

    ``relation`` is a code of csrc/cell.h; the count of an invalid cell is -1.
    """
    ids, counts = _ops.nasbench101_neighbours(vertices, edges, operations, *tables, relation)
    return ids, counts


def nasbench101_keys(vertices: Tensor, edges: Tensor, operations: Tensor) -> Tensor:
    """Official MD5 graph hash, uint8 [N, 16]. All cells must be valid."""
    keys: Tensor = _ops.nasbench101_keys(vertices, edges, operations)
    return keys


def nasbench101_size(
    vertices: Tensor,
    edges: Tensor,
    operations: Tensor,
    stem_channels: int,
    stacks: int,
    modules: int,
    classes: int,
    resolution: int,
    image_channels: int,
) -> tuple[Tensor, Tensor]:
    """Trainable parameters and multiply-adds of one image, int64 [N]; -1 where the cell is invalid."""
    params, flops = _ops.nasbench101_size(
        vertices, edges, operations, stem_channels, stacks, modules, classes, resolution, image_channels
    )
    return params, flops


@torch.library.register_fake("zcfast::nasbench101_index")
def _(vertices: Tensor, edges: Tensor, operations: Tensor, *tables: Tensor) -> tuple[Tensor, Tensor]:
    return vertices.new_empty(vertices.shape, dtype=torch.int64), vertices.new_empty(vertices.shape)


@torch.library.register_fake("zcfast::nasbench101_neighbours")
def _(vertices: Tensor, edges: Tensor, operations: Tensor, *tables_and_relation: object) -> tuple[Tensor, Tensor]:
    size = len(vertices)
    return vertices.new_empty((size, 31), dtype=torch.int32), vertices.new_empty((size,), dtype=torch.int64)


@torch.library.register_fake("zcfast::nasbench101_keys")
def _(vertices: Tensor, edges: Tensor, operations: Tensor) -> Tensor:
    return vertices.new_empty((vertices.shape[0], 16), dtype=torch.uint8)


@torch.library.register_fake("zcfast::nasbench101_size")
def _(vertices: Tensor, edges: Tensor, operations: Tensor, *network: int) -> tuple[Tensor, Tensor]:
    return vertices.new_empty(vertices.shape, dtype=torch.int64), vertices.new_empty(vertices.shape, dtype=torch.int64)


@torch.library.register_fake("zcfast::nasbench101_expected_synflow")
def _(vertices: Tensor, edges: Tensor, operations: Tensor, *network: object) -> Tensor:
    return vertices.new_empty(vertices.shape, dtype=torch.float64)
