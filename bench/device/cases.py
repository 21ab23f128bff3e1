"""Every operator with a CUDA kernel on arguments that lie on the CPU, beside plain PyTorch that computes the same."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

import zcfast
from bench.bench_reductions import KINDS, resnet50_weights, saliency_loop
from bench.plain_cells import plain_index, plain_neighbours
from tests.expected import networks
from zcfast import _tables, ops, reference, search, search_ops
from zcfast.search.ageing_evolution import EvolutionState
from zcfast.search.algorithm import Algorithm
from zcfast.search.streams import Streams
from zcfast.spaces.nasbench101 import NasBench101Cells
from zcfast.spaces.nasbench101 import ops as space_ops
from zcfast.spaces.nasbench101.closed_forms import nasbench101_expected_synflow

# Of the magnitudes; csrc/cuda says where float32 sums come in.
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-12, torch.bfloat16: 4e-6, torch.float16: 4e-6}
PRUNED = 2  # the relation of csrc/cell.h
LARGE = {
    "weights": resnet50_weights(),
    "maps": [(64, 128, 32, 32), (64, 512, 8, 8)],
    "rows": [(64, 3072), (512, 3072)],
    "every": 1,  # of the cells
    "runs": 1000,
    "draws": 1000,
    "steps": 300,
}
# Odd sizes: packs that a row ends in, more than one chunk, one tile of rows and several.
SMALL = {
    "weights": [(1,), (5, 3, 7, 7), (3, 8191), (10, 33)],
    "maps": [(3, 5, 7, 9), (2, 17, 1, 1)],
    "rows": [(5, 37), (33, 130), (130, 65)],
    "every": 4000,
    "runs": 5,
    "draws": 7,
    "steps": 20,
}


@dataclasses.dataclass(frozen=True)
class Case:
    """An operator on arguments, its rival in plain PyTorch, and the bytes that have to move at least.

    tolerance: of the difference from the CPU, relative to the largest magnitude; 0 for integers.
    rival_share: how much of the work the rival does.
    """

    name: str
    ours: Callable[..., Any]
    rival: Callable[..., Any]
    arguments: tuple[Any, ...]
    bytes_moved: int
    tolerance: float = 0
    rival_share: float = 1


def cases(small: bool = False) -> list[Case]:
    """All of them, of a size that fills a card, or small ones of odd sizes."""
    sizes = SMALL if small else LARGE
    return [
        *saliency_cases(sizes["weights"]),
        *fisher_cases(sizes["maps"]),
        *jacobian_cases(sizes["rows"]),
        *cell_cases(sizes["every"]),
        *search_cases(sizes["runs"], sizes["draws"], sizes["steps"]),
    ]


def plain(name: Any) -> str:
    return str(name).removeprefix("torch.")


def size_of(value: Any) -> int:
    """Bytes of all tensors in it."""
    if isinstance(value, Tensor):
        return value.numel() * value.element_size()
    return sum(map(size_of, value)) if isinstance(value, (list, tuple)) else 0


def saliency_cases(shapes: Sequence[tuple[int, ...]]) -> list[Case]:
    made = []
    for dtype in (torch.float32, torch.bfloat16):
        weights, grads = ([torch.randn(shape).to(dtype) for shape in shapes] for _ in range(2))
        made.append(
            Case(
                f"saliency_reduce, 3 kinds, {len(shapes)} layers, {plain(dtype)}",
                ops.saliency_reduce,
                lambda weights, grads, kinds: saliency_loop(weights, grads),
                (weights, grads, KINDS),
                size_of((weights, grads)),
                TOLERANCE[dtype],
            )
        )
    return made


def plain_fisher(activation: Tensor, gradient: Tensor, channel: int) -> Tensor:
    return 0.5 * (activation * gradient).sum((2, 3)).square().mean(0)


def fisher_cases(shapes: Sequence[tuple[int, ...]]) -> list[Case]:
    made = []
    for shape in shapes:
        for dtype in (torch.float32, torch.bfloat16):
            for layout in (torch.contiguous_format, torch.channels_last):
                pair = tuple(torch.randn(shape).to(dtype, memory_format=layout) for _ in range(2))
                name = f"fisher_reduce, {' x '.join(map(str, shape))}, {plain(dtype)}, {plain(layout)}"
                # A signed sum, squared: relative to itself it is less exact than to the magnitudes.
                tolerance = 1e3 * TOLERANCE[dtype]
                made.append(Case(name, ops.fisher_reduce, plain_fisher, (*pair, 1), size_of(pair), tolerance))
    return made


def jacobian_cases(shapes: Sequence[tuple[int, int]]) -> list[Case]:
    made = []
    for rows, columns in shapes:
        jacobian = torch.randn(rows, columns)
        name, rival = f"jacobian_correlation, {rows} x {columns}, float32", reference.jacobian_correlation
        made.append(Case(name, ops.jacobian_correlation, rival, (jacobian,), size_of(jacobian), 1e-9))
    return made


def expected_synflow(vertices: Tensor, edges: Tensor, operations: Tensor) -> Tensor:
    return nasbench101_expected_synflow(NasBench101Cells(vertices, edges, operations))


def plain_expected_synflow(vertices: Tensor, edges: Tensor, operations: Tensor) -> list[Tensor]:
    """Of the three cells in the middle, whose networks run forward and backward one after the other."""
    space, middle = zcfast.space("nasbench101"), len(vertices) // 2
    three = NasBench101Cells(*(each[middle : middle + 3] for each in (vertices, edges, operations)))
    options, weight = dataclasses.asdict(space.network), networks.mean_weights(space.initialisation)
    with torch.device(vertices.device):
        return [
            networks.synflow(lambda leaf: networks.nasbench101(matrix, names, leaf, **options), weight)  # noqa: B023
            for matrix, names in space.to_matrices(three)
        ]


def cell_cases(every: int) -> list[Case]:
    cells = zcfast.space("nasbench101").enumerate()[::every]
    encoding = (cells.vertices, cells.edges, cells.operations)
    arrays = _tables.nasbench101()
    names = ("lookup", "orders", "class_first", "class_orbits", "orbits")
    tables = [torch.from_numpy(arrays[name]) for name in names]
    count = len(cells)
    return [
        Case(
            f"nasbench101_index, {count} cells",
            space_ops.nasbench101_index,
            plain_index,
            (*encoding, tables),
            19 * count,
        ),
        Case(
            f"nasbench101_neighbours, {count} cells",
            lambda *arguments: space_ops.nasbench101_neighbours(*arguments, PRUNED),
            plain_neighbours,
            (*encoding, tables),
            (10 + 4 * 31 + 8) * count,
        ),
        Case(
            f"nasbench101_expected_synflow, {count} cells, float32",
            expected_synflow,
            plain_expected_synflow,
            encoding,
            18 * count,
            1e-6,
            rival_share=3 / count,
        ),
    ]


ALGORITHM = search.ageing_evolution()


def search_cases(runs: int, draws: int, steps: int) -> list[Case]:
    space = zcfast.space("nasbench201")
    graph, state = space.neighbour_graph(), ALGORITHM.init(space, runs=runs)
    values = torch.rand(len(space), dtype=torch.float64)
    pool = (state.initial, state.rows, state.accuracies)
    keys = state.streams.keys

    def evolution(
        keys: Tensor, pool: tuple[Tensor, ...], graph: tuple[Tensor, ...], values: Tensor
    ) -> tuple[Tensor, ...]:
        return search_ops.evolve(keys, 0, steps, pool, ALGORITHM.tournament, graph, None, 0.0, values)  # type: ignore[arg-type]

    def stepwise(keys: Tensor, pool: tuple[Tensor, ...], graph: Any, values: Tensor) -> tuple[Tensor, Any]:
        return Algorithm.advance(ALGORITHM, EvolutionState("nasbench201", Streams(keys), 0, 0, *pool), values, steps)

    def bits(keys: Tensor) -> Tensor:
        return search_ops.stream_bits(keys, 3, draws)

    def plain_bits(keys: Tensor) -> Tensor:
        return search_ops.plain_stream_bits(keys, 3, draws)

    evolved = (keys, pool, (graph.offsets, graph.ids), values)
    return [
        Case(f"stream_bits, {runs} runs, {draws} draws", bits, plain_bits, (keys,), 8 * draws * runs),
        Case(f"evolve, {runs} runs, {steps} trainings", evolution, stepwise, evolved, 8 * runs * steps),
    ]
