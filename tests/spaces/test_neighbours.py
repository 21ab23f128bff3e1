import itertools

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.shared import CELL_SPACES
from tests.spaces import original
from zcfast import _tables
from zcfast.spaces import space
from zcfast.spaces.neighbours import Neighbours

SPACE101, SPACE201 = space("nasbench101"), space("nasbench201")


def slow_neighbours(cell, relation):
    """Every edit of the canonical cell as (matrix, names), parsed and looked up one by one."""
    matrix, operations = SPACE101.to_matrices(cell)[0]
    n, edited = len(operations), []
    for v, name in itertools.product(range(1, n - 1), ("conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3")):
        edited.append((matrix, [*operations[:v], name, *operations[v + 1 :]]))
    if relation != "operations":
        for x, y in itertools.combinations(range(n), 2):
            toggled = matrix.copy()
            toggled[x, y] ^= 1
            if relation == "pruned" or original.is_full(toggled.tolist()):
                edited.append((toggled, operations))
    index = SPACE101.index(SPACE101.parse(edited)) if edited else torch.empty(0, dtype=torch.int64)
    return sorted(set(index[index >= 0].tolist()) - {SPACE101.index(cell).item()})


@pytest.mark.parametrize("relation", ["operations", "unpruned", "pruned"])
@given(index=st.integers(0, 423_623))
@settings(max_examples=60, deadline=None)
def test_nasbench101_equals_one_edit_after_the_other(relation, index):
    cell = SPACE101.enumerate()[index]
    assert SPACE101.neighbours(cell, relation)[0].tolist() == slow_neighbours(cell, relation)


def slow_wide_neighbours(cell):
    """The same for the wide relation; the new vertex goes directly before its target."""
    matrix, names = SPACE101.to_matrices(cell)[0]
    n, kinds = len(names), ("conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3")
    pairs, edited = list(itertools.combinations(range(n), 2)), []
    for (x, y), (a, b) in itertools.product(pairs, pairs):
        if matrix[x, y] and not matrix[a, b] and (x == a) != (y == b):
            moved = matrix.copy()
            moved[x, y], moved[a, b] = 0, 1
            edited.append((moved, names))
    for v in range(1, n - 1):
        without = np.delete(np.delete(matrix | np.outer(matrix[:, v], matrix[v]), v, 0), v, 1)
        edited.append((without, names[:v] + names[v + 1 :]))
    for (x, y), kind, replaced in itertools.product(pairs if n < 7 else [], kinds, (False, True)):
        longer = np.insert(np.insert(matrix, y, 0, 0), y, 0, 1)
        longer[x, y] = longer[y, y + 1] = 1
        if replaced:
            longer[x, y + 1] = 0
        if matrix[x, y] or not replaced:
            edited.append((longer, [*names[:y], kind, *names[y:]]))
    index = SPACE101.index(SPACE101.parse(edited)) if edited else torch.empty(0, dtype=torch.int64)
    found = {*index[index >= 0].tolist(), *slow_neighbours(cell, "pruned")}
    return sorted(found - {SPACE101.index(cell).item()})


@given(index=st.one_of(st.integers(0, 423_623), st.integers(0, 64_542)))
@settings(max_examples=60, deadline=None)
@example(0)
@pytest.mark.slow
def test_wide_neighbours_equal_one_edit_after_the_other(index):
    cell = SPACE101.enumerate()[index]
    assert SPACE101.neighbours(cell, "wide")[0].tolist() == slow_wide_neighbours(cell)


def test_wide_neighbours_of_a_batch_in_any_order():
    rows = torch.tensor([423_000, 0, 7, 64_000, 7, 100_000])
    together = SPACE101.neighbours(SPACE101.enumerate()[rows], "wide")
    for i, row in enumerate(rows.tolist()):
        assert torch.equal(together[i], SPACE101.neighbours(SPACE101.enumerate()[row], "wide").ids)
    assert len(SPACE101.neighbours(SPACE101.enumerate()[:0], "wide")) == 0


def test_any_vertex_order_has_the_neighbours_of_the_canonical_cell():
    cell = SPACE101.parse("conv1x1:0|conv3x3:0|maxpool3x3:1|output:2,3")
    assert torch.equal(SPACE101.neighbours(cell).ids, SPACE101.neighbours(SPACE101.canonical(cell)).ids)


@pytest.mark.slow
def test_the_graph_of_nasbench101():
    graph = SPACE101.neighbour_graph()
    assert len(graph) == 423_624
    assert (graph.counts == 0).nonzero().flatten().tolist() == [0]  # the cell of a single edge
    assert torch.equal(graph[123_456], SPACE101.neighbours(SPACE101.enumerate()[123_456])[0])
    assert len(graph.ids) == 7_653_143


@pytest.mark.slow
def test_changes_of_operations_are_symmetric():
    graph = SPACE101.neighbour_graph("operations")
    both = graph.symmetrised()
    assert torch.equal(graph.ids, both.ids)
    assert torch.equal(graph.offsets, both.offsets)


def test_symmetrised_lists_both_directions():
    graph = Neighbours(torch.tensor([0, 2, 2, 3]), torch.tensor([1, 2, 0]))
    both = graph.symmetrised()
    assert [both[i].tolist() for i in range(3)] == [[1, 2], [0], [0]]


@given(st.integers(0, 15_624))
def test_nasbench201_has_24_neighbours_with_one_other_operation(index):
    cell = SPACE201.enumerate()[index]
    ids = SPACE201.neighbours(cell)[0]
    assert len(ids.unique()) == 24
    differences = (SPACE201.enumerate()[ids].operations != cell.operations).sum(1)
    assert differences.tolist() == [1] * 24


@pytest.mark.parametrize("name", CELL_SPACES)
def test_mutate_draws_uniformly_and_follows_the_generator(name):
    cells = space(name).enumerate()[[1000] * 8000]
    first = space(name).mutate(cells, torch.Generator().manual_seed(0))
    again = space(name).mutate(cells, torch.Generator().manual_seed(0))
    drawn = space(name).index(first)
    assert torch.equal(drawn, space(name).index(again))
    expected = space(name).neighbours(cells[0])[0]
    values, counts = drawn.unique(return_counts=True)
    assert torch.equal(values, expected)
    mean = 8000 / len(expected)
    assert (counts - mean).abs().max() < 5 * mean**0.5


def test_a_cell_without_neighbours_mutates_into_itself():
    assert SPACE101.index(SPACE101.mutate(SPACE101.enumerate()[[0, 0]])).tolist() == [0, 0]


@pytest.mark.parametrize("name", CELL_SPACES)
def test_empty_batches_and_bad_relations(name):
    empty = space(name).enumerate()[:0]
    assert len(space(name).neighbours(empty)) == len(space(name).mutate(empty)) == 0
    with pytest.raises(ValueError, match="unknown relation 'operation': did you mean operations"):
        space(name).neighbours(empty, "operation")


def test_invalid_cells_are_refused():
    with pytest.raises(ValueError, match="row 0 is no NAS-Bench-101 cell: there is no path"):
        SPACE101.neighbours(SPACE101.parse("conv3x3:0|output:"))


def test_threads_change_nothing():
    cells = tuple(SPACE101.enumerate()[::10_000].tensors().values())
    encoding = ("vertices", "edges", "operations")
    tables = [torch.from_numpy(array) for key, array in _tables.nasbench101().items() if key not in encoding]
    with pytest.raises(RuntimeError, match="relation: expected 0 to 2, got 3"):
        torch.ops.zcfast.nasbench101_neighbours(*cells, *tables, 3)
    before, expected = torch.get_num_threads(), SPACE101.neighbours(SPACE101.enumerate()[::50]).ids
    try:
        torch.set_num_threads(3)
        assert torch.equal(SPACE101.neighbours(SPACE101.enumerate()[::50]).ids, expected)
    finally:
        torch.set_num_threads(before)
