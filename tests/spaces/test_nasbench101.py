import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.shared import released_nasbench101
from tests.spaces import original
from zcfast.spaces import space
from zcfast.spaces.nasbench101 import NasBench101Cells
from zcfast.spaces.nasbench101 import ops as space_ops

SPACE = space("nasbench101")
CHAIN = "conv3x3:0|conv1x1:1|output:2"


def encode(n, edges, operations):
    return NasBench101Cells(
        torch.tensor([n], dtype=torch.int8),
        torch.tensor([edges], dtype=torch.int32),
        torch.tensor([[*operations, *[-1] * (5 - len(operations))]], dtype=torch.int8),
    )


def equal(tensors, others):
    return all(torch.equal(a, b) for a, b in zip(tensors, others, strict=True))


def test_counts_by_vertices():
    cells = SPACE.enumerate()
    assert len(cells) == len(SPACE) == 423_624
    assert torch.bincount(cells.vertices.int()).tolist() == [0, 0, 1, 6, 84, 2441, 62010, 359082]


def test_enumeration_equals_brute_force_up_to_five_vertices():
    cells = SPACE.enumerate()[: 1 + 6 + 84 + 2441]
    rows = zip(*(tensor.tolist() for tensor in cells.tensors().values()), strict=True)
    expected = list(original.enumerate_cells(5))
    assert [(n, edges, tuple(operations[: n - 2])) for n, edges, operations in rows] == expected


def test_every_cell_is_its_own_representative():
    cells = SPACE.enumerate()
    assert torch.equal(SPACE.index(cells), torch.arange(len(cells)))
    assert SPACE.is_valid(cells).all()


@given(st.integers(0, 423_623), st.randoms(use_true_random=False))
def test_index_does_not_depend_on_vertex_order_or_dangling_vertices(index, rng: random.Random):
    cell = SPACE.enumerate()[index]
    matrix, names = SPACE.to_matrices(cell)[0]
    order = random_topological_order(matrix, rng)
    moved = matrix[np.ix_(order, order)]
    moved_names = [names[v] for v in order]
    for _ in range(rng.randint(0, 7 - len(names))):
        moved, moved_names = with_dangling_vertex(moved, moved_names, rng)
    other = SPACE.parse((moved, moved_names))
    assert SPACE.index(other).item() == index
    assert equal(SPACE.canonical(other).tensors().values(), cell.tensors().values())
    assert torch.equal(SPACE.keys(other), SPACE.keys(cell))


def random_topological_order(matrix, rng):
    n, order = len(matrix), [0]
    while len(order) < n - 1:
        ready = [v for v in range(1, n - 1) if v not in order and all(u in order for u in np.flatnonzero(matrix[:, v]))]
        order.append(rng.choice(ready))
    return [*order, n - 1]


def with_dangling_vertex(matrix, names, rng):
    """A vertex that is fed but feeds nothing, or feeds but is not fed."""
    n = len(names)
    at = rng.randint(1, n - 1)
    larger = np.insert(np.insert(matrix, at, 0, axis=0), at, 0, axis=1)
    if rng.random() < 0.5:
        larger[rng.randint(0, at - 1), at] = 1
    else:
        larger[at, rng.randint(at + 1, n)] = 1
    return larger, [*names[:at], rng.choice(["conv3x3-bn-relu", "maxpool3x3"]), *names[at:]]


@given(st.integers(0, 2**21 - 1), st.tuples(*[st.integers(0, 2)] * 5))
@settings(max_examples=300)
def test_raw_encodings_agree_with_the_original_definition(edges, operations):
    cell = encode(7, edges, operations)
    matrix, labels = pruned(original.matrix_of(7, edges), (-1, *operations, -2))
    valid = matrix is not None and sum(map(sum, matrix)) <= 9
    assert SPACE.is_valid(cell).item() == valid
    assert (SPACE.reasons(cell)[0] == "") == valid
    if valid:
        assert bytes(SPACE.keys(cell)[0].tolist()).hex() == original.graph_hash(matrix, labels)
        canonical = SPACE.canonical(cell)
        found = SPACE.to_matrices(canonical)[0][0].tolist()
        found_labels = (-1, *canonical.operations[0, : len(found) - 2].tolist(), -2)
        assert original.isomorphism_key(found, found_labels) == original.isomorphism_key(matrix, labels)


def pruned(matrix, labels):
    """ModelSpec's pruning, by reachability."""
    n = len(labels)
    reach = {0}
    for v in range(n):
        if v in reach:
            reach |= {w for w in range(n) if matrix[v][w]}
    back = {n - 1}
    for v in reversed(range(n)):
        if v in back:
            back |= {u for u in range(n) if matrix[u][v]}
    keep = sorted(reach & back)
    if 0 not in keep or n - 1 not in keep:
        return None, None
    return [[matrix[x][y] for y in keep] for x in keep], tuple(labels[v] for v in keep)


def test_keys_do_not_depend_on_the_order():
    cells = SPACE.enumerate()[::40]
    order = torch.randperm(len(cells), generator=torch.Generator().manual_seed(0))
    assert SPACE.keys(cells[order]).equal(SPACE.keys(cells)[order])


def test_keys_of_a_sample_against_hashlib():
    cells = SPACE.sample(300, torch.Generator().manual_seed(0))
    for (matrix, _), operations, key in zip(
        SPACE.to_matrices(cells), cells.operations.tolist(), SPACE.keys(cells).tolist(), strict=True
    ):
        labels = (-1, *operations[: len(matrix) - 2], -2)
        assert bytes(key).hex() == original.graph_hash(matrix.tolist(), labels)


def test_released_hashes_parameters_and_representatives_of_all_cells():
    cells, released = released_nasbench101()
    index = SPACE.index(cells)
    assert len(index.unique()) == 423_624
    assert torch.equal(SPACE.enumerate()[index].edges, cells.edges)
    assert torch.equal(SPACE.enumerate()[index].operations, cells.operations)
    assert (SPACE.keys(SPACE.enumerate())[index].numpy() == released["hash"]).all()
    assert (SPACE.params(SPACE.enumerate())[index].numpy() == released["params"]).all()


def test_parameters_of_the_smallest_and_largest_network():
    params = SPACE.params(SPACE.enumerate())
    assert (params.min().item(), params.max().item()) == (227_274, 49_979_274)


def test_size_options():
    cell = SPACE.parse("conv3x3:0|output:1")
    # stem 27 x 16 + 32; projection 16 x 16 + 32; 3x3 9 x 16 x 16 + 32; classifier 16 x 7 + 7
    options = {"stem_channels": 16, "stacks": 1, "modules": 1, "classes": 7}
    assert SPACE.params(cell, **options).tolist() == [432 + 32 + 256 + 32 + 2304 + 32 + 119]
    assert SPACE.flops(cell, **options, resolution=8).tolist() == [(432 + 256 + 2304) * 64 + 112]


@given(st.integers(0, 423_623))
def test_parse_reads_what_format_and_to_matrices_write(index):
    cell = SPACE.enumerate()[index]
    for written in (SPACE.format(cell)[0], SPACE.format(cell), SPACE.to_matrices(cell)[0], SPACE.to_matrices(cell)):
        read = SPACE.parse(written)
        assert equal(read.tensors().values(), cell.tensors().values())


def test_format_of_a_known_cell():
    assert SPACE.format(SPACE.parse(CHAIN)) == [CHAIN]
    matrix, names = SPACE.to_matrices(SPACE.parse(CHAIN))[0]
    assert matrix.tolist() == [[0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]]
    assert names == ["input", "conv3x3-bn-relu", "conv1x1-bn-relu", "output"]


TRIANGLE = [[0, 1, 1], [0, 0, 1], [0, 0, 0]]
NAMES = ["input", "conv3x3-bn-relu", "output"]


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        (([[0, 1, 1], [1, 0, 1], [0, 0, 0]], NAMES), r"matrix: expected upper triangular, got an edge 1 -> 0"),
        (([[1, 1, 1], [0, 0, 1], [0, 0, 0]], NAMES), r"matrix: expected upper triangular, got an edge 0 -> 0"),
        (([[0, 2, 1], [0, 0, 1], [0, 0, 0]], NAMES), r"matrix: expected only 0 and 1, got 2"),
        (([[0.0, 1, 1], [0, 0, 1], [0, 0, 0]], NAMES), r"matrix: expected integers, got dtype float64"),
        (([[0, 1], [0, 0]], NAMES), r"matrix: expected 3 x 3 for 3 operations, got shape \[2, 2\]"),
        ((TRIANGLE, ["input", "conv5x5", "output"]), r"operations: expected one of .* at vertex 1, got 'conv5x5'"),
        ((TRIANGLE, ["conv3x3", "conv3x3", "output"]), r"operations: expected 'input' first"),
        ((np.zeros((8, 8), int), ["input"] * 8), r"operations: expected 2 to 7 names, got 8"),
        ("conv3x3:0|output:2", r"expected sources 0 to 1 of 'output', got '2'"),
        ("conv3x3:0", r"expected up to 5 operations and then output"),
        ("", r"expected up to 5 operations and then output"),
        ("conv3x3:x|output:1", r"expected sources 0 to 0 of 'conv3x3', got 'x'"),
        (7, r"architecture: expected a string or a pair .* got int"),
        (([[0, 1], [0]], ["input", "output"]), r"architecture: expected \(square matrix, list of operation names\)"),
        ((None, None), r"architecture: expected \(square matrix, list of operation names\)"),
    ],
)
def test_parse_names_what_is_wrong(architecture, message):
    with pytest.raises(ValueError, match=message):
        SPACE.parse(architecture)


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        (encode(8, 1, ()), "expected 2 to 7 vertices"),
        (encode(1, 0, ()), "expected 2 to 7 vertices"),
        (encode(3, 8, (0,)), "edge bits"),
        (encode(2, -1, ()), "edge bits"),
        (encode(3, 3, (3,)), "operation codes"),
        (encode(3, 3, ()), "operation codes"),
        (encode(3, 3, (0, 0)), "operation codes"),
        (encode(3, 1, (0,)), "no path"),
        (encode(7, 1 << 20, (0,) * 5), "no path"),
        (encode(5, 2**10 - 1, (0,) * 3), "at most 9 edges"),
    ],
)
def test_invalid_encodings_have_a_reason(cell, reason):
    assert SPACE.index(cell).tolist() == [-1]
    assert reason in SPACE.reasons(cell)[0]
    for call in (SPACE.canonical, SPACE.keys, SPACE.params, SPACE.flops):
        with pytest.raises(ValueError, match=f"row 0 is no NAS-Bench-101 cell: .*{reason}"):
            call(cell)


def test_ten_edges_are_valid_if_pruning_leaves_nine():
    matrix, names = SPACE.to_matrices(SPACE.enumerate()[-1])[0]
    assert matrix.sum() == 9
    assert SPACE.is_valid(SPACE.parse((matrix, names))).all()
    six = SPACE.enumerate()[(SPACE.enumerate().vertices == 6).nonzero()[-1]]
    matrix, names = SPACE.to_matrices(six)[0]
    larger, larger_names = with_dangling_vertex(matrix, names, random.Random(0))
    assert larger.sum() == matrix.sum() + 1 == 10
    assert SPACE.index(SPACE.parse((larger, larger_names))).item() == SPACE.index(six).item()


@pytest.mark.parametrize("name", ["vertices", "edges", "operations"])
def test_a_wrong_dtype_or_shape_names_the_argument(name):
    fields = SPACE.enumerate()[:4].tensors()
    with pytest.raises(ValueError, match=rf"{name}: expected a tensor of torch.int\d+, got torch.float64"):
        NasBench101Cells(**{**fields, name: fields[name].double()})
    with pytest.raises(ValueError, match=rf"{name}: expected shape \[N.*\], got \["):
        NasBench101Cells(**{**fields, name: fields[name][..., None]})
    wrong = [fields[other].double() if other == name else fields[other] for other in fields]
    with pytest.raises(RuntimeError, match=rf"{name}: expected dtype \w+, got Double"):
        space_ops.nasbench101_keys(*wrong)


def test_fields_of_unequal_length_are_refused():
    fields = SPACE.enumerate()[:4].tensors()
    with pytest.raises(ValueError, match="fields of equal length"):
        NasBench101Cells(**{**fields, "edges": fields["edges"][:3]})


def test_empty_batches():
    empty = SPACE.enumerate()[:0]
    assert SPACE.index(empty).shape == (0,)
    assert SPACE.keys(empty).shape == (0, 16)
    assert SPACE.format(empty) == SPACE.to_matrices(empty) == SPACE.reasons(empty) == []
    assert len(SPACE.canonical(empty)) == len(SPACE.parse([])) == len(SPACE.sample(0)) == 0


@pytest.mark.parametrize("method", ["uniform", "rejection"])
def test_samples_are_canonical_and_follow_the_generator(method):
    first = SPACE.sample(500, torch.Generator().manual_seed(1), method=method)
    again = SPACE.sample(500, torch.Generator().manual_seed(1), method=method)
    assert torch.equal(SPACE.enumerate()[SPACE.index(first)].edges, first.edges)
    assert torch.equal(SPACE.index(first), SPACE.index(again))
    assert len(SPACE.index(first).unique()) > 200


def test_rejection_sampling_has_the_distribution_of_the_original_sampler():
    """A slow copy of random_spec and ours agree on how many vertices are left after pruning."""
    rng, counts = random.Random(3), [0] * 8
    for _ in range(20_000):
        edges = rng.getrandbits(21)
        matrix, _ = pruned(original.matrix_of(7, edges), range(7))
        if matrix is not None and sum(map(sum, matrix)) <= 9:
            counts[len(matrix)] += 1
    ours = torch.bincount(
        SPACE.sample(20_000, torch.Generator().manual_seed(0), method="rejection").vertices.int(), minlength=8
    )
    expected = np.array(counts) / sum(counts)
    error = np.sqrt(expected * (1 - expected) * (1 / sum(counts) + 1 / 20_000))
    assert (np.abs(ours.numpy() / 20_000 - expected) <= 5 * error + 1e-9).all()


def test_sample_refuses_bad_arguments():
    with pytest.raises(ValueError, match="method: expected 'uniform' or 'rejection', got 'grid'"):
        SPACE.sample(1, method="grid")
    with pytest.raises(ValueError, match="generator: expected Generator, got int"):
        SPACE.sample(1, 0, method="rejection")
    with pytest.raises(ValueError, match="n: expected a number of architectures >= 0, got -1"):
        SPACE.sample(-1)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_operators_do_not_depend_on_the_number_of_threads(threads):
    cells = SPACE.enumerate()[::7]
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        results = SPACE.index(cells), SPACE.keys(cells), SPACE.params(cells)
    finally:
        torch.set_num_threads(before)
    assert equal(results, (SPACE.index(cells), SPACE.keys(cells), SPACE.params(cells)))


ENCODING = ("vertices", "edges", "operations")


def _tables():
    from zcfast import _tables

    return _tables.nasbench101()


def test_operators_refuse_invalid_cells_and_foreign_tables():
    invalid = encode(3, 1, (0,))
    with pytest.raises(RuntimeError, match=r"nasbench101_keys: .* got an invalid one in row 0"):
        space_ops.nasbench101_keys(*invalid.tensors().values())
    tables = [torch.from_numpy(array) for name, array in _tables().items() if name not in ENCODING]
    for i, name in enumerate(("lookup", "orders", "class_first", "class_orbits", "orbits")):
        short = [table[:2] if i == j else table for j, table in enumerate(tables)]
        with pytest.raises(RuntimeError, match=rf"{name}: expected shape \[\d+.*\], got \[2"):
            space_ops.nasbench101_index(*invalid.tensors().values(), short)


@pytest.mark.parametrize(("option", "value"), [("stem_channels", 2**40), ("stacks", 10**12), ("resolution", 2**17)])
def test_operators_refuse_networks_beyond_their_integers(option, value):
    network = {"stem_channels": 128, "stacks": 3, "modules": 3, "classes": 10, "resolution": 32, "image_channels": 3}
    network[option] = value
    with pytest.raises(RuntimeError, match=f"{option}: expected 1 to .* got {value}"):
        space_ops.nasbench101_size(*SPACE.enumerate()[:1].tensors().values(), **network)


def test_the_largest_network_fits():
    largest = {"stem_channels": 2048, "stacks": 8, "modules": 100, "classes": 1_000_000, "resolution": 1024}
    cells = SPACE.enumerate()[-5000:]
    assert (SPACE.flops(cells, **largest) > 0).all()
    assert (SPACE.params(cells, **largest) > 0).all()
