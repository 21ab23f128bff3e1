"""Enumeration, canonical index and graph hashes of NAS-Bench-101, each beside the benchmark's own Python."""

import itertools

import pytest
import torch

from bench.plain_cells import plain_index, plain_neighbours
from bench.timing import measured
from tests.spaces import original
from zcfast import _tables
from zcfast.spaces import space
from zcfast.spaces.nasbench101 import ops as space_ops
from zcfast.spaces.nasbench101.canonical import index_tables

pytestmark = pytest.mark.usefixtures("one_thread")
SPACE = space("nasbench101")


@pytest.mark.benchmark(group="enumerate NAS-Bench-101 with canonical tables")
def test_enumeration(benchmark):
    assert len(benchmark(_tables.nasbench101)["vertices"]) == 423_624


@pytest.mark.benchmark(group="enumerate NAS-Bench-101 with canonical tables")
def test_enumeration_by_hash_up_to_six_vertices_in_python(benchmark):
    """The original's loops, up to isomorphism by its hash; seven vertices take about fifteen times as long."""

    def run():
        seen = set()
        for n in range(2, 7):
            for edges in range(2 ** (n * (n - 1) // 2)):
                matrix = original.matrix_of(n, edges)
                if original.is_full(matrix) and sum(map(sum, matrix)) <= 9:
                    for operations in itertools.product(range(3), repeat=n - 2):
                        seen.add(original.graph_hash(matrix, (-1, *operations, -2)))
        return seen

    assert len(benchmark.pedantic(run, rounds=1)) == 1 + 6 + 84 + 2441 + 62010


@pytest.mark.benchmark(group="canonical index of 400,000 random encodings")
def test_canonical_index(benchmark):
    generator = torch.Generator().manual_seed(0)
    n = 400_000
    vertices = torch.full((n,), 7, dtype=torch.int8)
    edges = torch.randint(2**21, (n,), dtype=torch.int32, generator=generator)
    operations = torch.randint(3, (n, 5), dtype=torch.int8, generator=generator)
    cells = type(SPACE.enumerate())(vertices, edges, operations)
    benchmark(SPACE.index, cells)
    benchmark.extra_info["ns_per_cell"] = measured(benchmark).median / n * 1e9


@pytest.mark.benchmark(group="neighbours of 10,000 NAS-Bench-101 cells")
def test_neighbours_of_10000_cells(benchmark):
    benchmark(SPACE.neighbours, SPACE.enumerate()[::42])


@pytest.mark.benchmark(group="neighbours of 10,000 NAS-Bench-101 cells")
def test_neighbours_of_10000_cells_in_plain_pytorch(benchmark):
    cells, tables = SPACE.enumerate()[::42], index_tables(torch.device("cpu"))
    encoding = (cells.vertices, cells.edges, cells.operations)
    assert torch.equal(plain_index(*encoding, tables)[0], SPACE.index(cells))
    ids, counts = benchmark.pedantic(plain_neighbours, (*encoding, tables), rounds=2)
    found = SPACE.neighbours(cells)
    assert torch.equal(ids[ids >= 0].long(), found.ids)
    assert torch.equal(counts, found.counts)


@pytest.mark.benchmark(group="graph hash, 1,000 cells")
def test_keys_of_1000_cells(benchmark):
    cells = SPACE.enumerate()[::423].tensors().values()
    benchmark(space_ops.nasbench101_keys, *cells)


@pytest.mark.benchmark(group="graph hash, 1,000 cells")
def test_keys_of_1000_cells_in_python(benchmark):
    cells = SPACE.enumerate()[::423]
    graphs = [
        (matrix.tolist(), (-1, *operations[: len(matrix) - 2], -2))
        for (matrix, _), operations in zip(SPACE.to_matrices(cells), cells.operations.tolist(), strict=True)
    ]
    benchmark.pedantic(lambda: [original.graph_hash(*graph) for graph in graphs], rounds=3)


@pytest.mark.benchmark(group="graph hash, all cells")
@pytest.mark.parametrize("threads", [1, 2])
def test_keys_of_all_cells(benchmark, threads):
    torch.set_num_threads(threads)
    cells = SPACE.enumerate().tensors().values()
    benchmark.pedantic(space_ops.nasbench101_keys, cells, rounds=3)


@pytest.mark.benchmark(group="neighbours of NAS-Bench-101 cells")
def test_neighbours_of_all_cells(benchmark):
    graph = benchmark.pedantic(SPACE.neighbour_graph, rounds=3)
    stats = measured(benchmark)
    benchmark.extra_info |= {"cells_per_s": len(graph) / stats.median, "edges_per_s": len(graph.ids) / stats.median}
    assert stats.min < 2


@pytest.mark.benchmark(group="mutations of 100,000 random cells")
@pytest.mark.parametrize("name", ["nasbench101", "nasbench201"])
def test_mutations(benchmark, name):
    cells, generator = space(name).sample(100_000, torch.Generator().manual_seed(0)), torch.Generator().manual_seed(1)
    benchmark.pedantic(space(name).mutate, (cells, generator), rounds=3, warmup_rounds=1)
    benchmark.extra_info["mutations_per_s"] = len(cells) / measured(benchmark).median


@pytest.mark.benchmark(group="neighbours of NAS-Bench-101 cells")
def test_neighbours_of_100_cells_in_python(benchmark):
    """Every edit hashed as the original does, without pruning."""
    cells = SPACE.enumerate()[::4236][:100]
    graphs = [
        (matrix.tolist(), [-1, *operations[: len(matrix) - 2], -2])
        for (matrix, _), operations in zip(SPACE.to_matrices(cells), cells.operations.tolist(), strict=True)
    ]

    def edits(matrix, labels):
        n = len(labels)
        for v, code in itertools.product(range(1, n - 1), range(3)):
            yield matrix, [*labels[:v], code, *labels[v + 1 :]]
        for x, y in itertools.combinations(range(n), 2):
            toggled = [list(row) for row in matrix]
            toggled[x][y] ^= 1
            if original.is_full(toggled) and sum(map(sum, toggled)) <= 9:
                yield toggled, labels

    benchmark.pedantic(lambda: [{original.graph_hash(*e) for e in edits(*g)} for g in graphs], rounds=2)
    benchmark.extra_info["cells_per_s"] = len(graphs) / measured(benchmark).median
